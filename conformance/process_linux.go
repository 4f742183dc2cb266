package conformance

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func makeFifo(path string) error { return unix.Mkfifo(path, 0o600) }

func chmod(path string, bits uint32) error { return unix.Chmod(path, bits) }

// setCapabilities gives a file cap_net_bind_service, effective.
func setCapabilities(path string) error {
	const revision2, effective, netBindService = 0x02000000, 1, 1 << 10
	data := make([]byte, 20)
	binary.LittleEndian.PutUint32(data, revision2|effective)
	binary.LittleEndian.PutUint32(data[4:], netBindService)
	return unix.Setxattr(path, "security.capability", data, 0)
}

// alive lists the processes of the case that have not ended. A pid may have gone
// to a stranger by now, who runs something else.
func (t *tree) alive() []int {
	_, all := t.spawned()
	var alive []int
	for _, pid := range all {
		if !slices.Contains(alive, pid) && t.owns(pid) {
			alive = append(alive, pid)
		}
	}
	return alive
}

// owns reports whether a live process is one that the case's definition starts:
// its arguments name the case's own directory.
func (t *tree) owns(pid int) bool {
	args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && strings.Contains(string(args), "--pids="+t.pids())
}

// signal reaches the process that was looked at, never a later one of its pid.
func (t *tree) signal(pid int, s syscall.Signal) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if !t.owns(pid) {
		return nil
	}
	err = unix.PidfdSendSignal(fd, s, nil, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

// stopped waits until every thread of a process has taken a stop: until then it
// may still answer.
func (t *tree) stopped(ctx context.Context, pid int) error {
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for {
		running := 0
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		if err != nil || len(tasks) == 0 {
			return fmt.Errorf("process %d has ended", pid)
		}
		for _, task := range tasks {
			stat, err := os.ReadFile(task)
			_, state, _ := strings.Cut(string(stat), ") ")
			if err == nil && !strings.HasPrefix(state, "T") {
				running++
			}
		}
		if running == 0 {
			return nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("process %d does not stop: %w", pid, ctx.Err())
		}
	}
}

// gone waits until a process has ended, at most for that many milliseconds.
func (t *tree) gone(pid, ms int) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return true
	}
	defer unix.Close(fd)
	if !t.owns(pid) {
		return true
	}
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, ms)
		if !errors.Is(err, unix.EINTR) {
			return err == nil && n > 0
		}
	}
}

// end kills whatever the case has started and is still there.
func (t *tree) end() error {
	var errs []error
	for _, pid := range t.alive() {
		errs = append(errs, t.signal(pid, unix.SIGKILL))
	}
	return errors.Join(errs...)
}

// attributes of a command: a session of its own when it shall have no terminal,
// another user, an end with its parent.
func launchAttributes(uid int) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true}
	if uid != 0 {
		a.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}
	}
	return a
}

func signalNamed(name string) (syscall.Signal, error) {
	if s := unix.SignalNum("SIG" + strings.TrimPrefix(name, "SIG")); s != 0 {
		return s, nil
	}
	return 0, fmt.Errorf("%q is no signal", name)
}

// openExtra gives a command descriptors that it must not pass on.
func openExtra(cmd *exec.Cmd, dir string) error {
	f, err := os.Create(filepath.Join(dir, "secret"))
	if err != nil {
		return err
	}
	cmd.ExtraFiles = []*os.File{f, f, f, f, f, f, f}
	return nil
}

// fileOwner is the mode and owner of a file.
func fileMode(path string) (uint32, error) {
	var st unix.Stat_t
	err := unix.Lstat(path, &st)
	return st.Mode & 0o7777, err
}
