package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/sealed"
)

// Stopper is the proof that a child can be held at its exec here. Safe for
// concurrent use.
type Stopper struct {
	raised, limit unix.Rlimit // of open files: as Go raised it, and as it was
	knowsNames    bool        // the kernel names what is executed by descriptor
}

// Names reports whether a process is named after the file that it executes, so
// that a Spec with that Name needs no LinkDir (Linux 6.14).
func (s *Stopper) Names(f *os.File, name string) bool {
	if s == nil || !s.knowsNames {
		return false
	}
	at, err := os.Readlink(selfFD(int(f.Fd())))
	if err != nil || filepath.Base(at) != name || strings.HasSuffix(name, " (deleted)") {
		return false
	}
	// A file on which another one is mounted lends it its place, not its name.
	var st unix.Statx_t
	err = unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, 0, &st)
	return err == nil && st.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0 && st.Attributes&unix.STATX_ATTR_MOUNT_ROOT == 0
}

// NewStopper tries whether a child can be held at its exec here. The error says
// why not: a system call filter, a security module (kernel.yama.ptrace_scope), no
// executable memory files (vm.memfd_noexec), a processor without support (it
// then wraps errors.ErrUnsupported). At most two children are made for it: one that
// gets no further than its first stop, and one that is held at the exec of a program
// that does nothing.
func NewStopper() (*Stopper, error) {
	if !canBear {
		return nil, unavailable("stop at exec on this processor", errors.ErrUnsupported)
	}
	if err := tryStop(); err != nil {
		return nil, err
	}
	s := &Stopper{knowsNames: since(6, 14)}
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &s.raised); err != nil {
		return nil, unavailable("read the limit of open files", err)
	}
	s.limit = s.raised
	if s.raised.Cur != s.raised.Max-1 {
		return s, nil // to which Go raises it
	}
	done := make(chan error, 1)
	onThrowawayThread(func() { done <- s.findLimit() })
	return s, <-done
}

// original is the limit of open files that a program is to have which another
// program than one of Go's would have started; nil when it is the present one.
func (s *Stopper) original() *unix.Rlimit {
	var now unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &now) != nil || now != s.raised || s.limit == s.raised {
		return nil
	}
	return &s.limit
}

// tryStop makes a child that gets as far as its first stop.
func tryStop() error {
	c := newChild()
	t := tracerOf(&Spec{})
	defer t.end()
	defer runtime.KeepAlive(c)
	pid, fd, err := c.bear()
	if pid == 0 {
		return err
	}
	return errors.Join(err, abort(pid), unix.Close(fd))
}

// findLimit reads the limit of a child that Go has made. Go raises this limit in
// every program, puts it back in every child at its exec, and tells nobody what
// it was. The child is stopped there, and would end at once if it went on.
func (s *Stopper) findLimit() error {
	program, err := sealed.Make("spawnward", func(f *os.File) error {
		_, err := f.Write(nothing())
		return err
	})
	if err != nil {
		return unavailable("make a program that does nothing", err)
	}
	defer program.Close()
	if _, err := blockSignals(); err != nil {
		return unavailable("set the signal mask", err)
	}
	var trap unix.Sigset_t
	trap.Val[0] = 1 << (unix.SIGTRAP - 1)
	if err := unix.PthreadSigmask(unix.SIG_UNBLOCK, &trap, nil); err != nil {
		return unavailable("set the signal mask", err)
	}
	pid, err := syscall.ForkExec(selfFD(int(program.Fd())), []string{""}, &syscall.ProcAttr{
		Sys: &syscall.SysProcAttr{Setsid: true, Ptrace: true, Pdeathsig: unix.SIGKILL},
	})
	if err != nil {
		return unavailable("execute a program that does nothing", err)
	}
	info, err := tracee(pid).look()
	if err == nil && info.Code != cldTrapped {
		err = unavailable("stop at exec", errors.New("the kernel does not trace the child"))
	}
	if err == nil {
		if err = unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &s.limit); err != nil {
			err = unavailable("read a child's limit of open files", err)
		}
	}
	return errors.Join(err, abort(pid))
}

// since reports whether the kernel is of a version, or later.
func since(major, minor int) bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	var gotMajor, gotMinor int
	n, _ := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &gotMajor, &gotMinor)
	return n == 2 && (gotMajor > major || gotMajor == major && gotMinor >= minor)
}
