package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Start executes spec.File as a detached process. The caller owns the returned
// Process and must Reap it or let [Process.AutoReap] do so.
func Start(spec Spec) (*Process, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, failed("open the null device", err)
	}
	defer null.Close()
	link := filepath.Join(spec.LinkDir, spec.Name)
	if filepath.Base(link) != spec.Name {
		return nil, failed("name the process", fmt.Errorf("%q is not a file name", spec.Name))
	}
	if err := os.Symlink("/proc/self/fd/"+strconv.Itoa(int(spec.File.Fd())), link); err != nil {
		return nil, failed("name the process", err)
	}
	defer os.Remove(link)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, failed("socketpair", err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])

	stderr := null
	if spec.Stderr != nil {
		stderr = spec.Stderr
	}
	birth := birth{spec: spec, link: link, stdio: []uintptr{null.Fd(), null.Fd(), stderr.Fd()}, send: pair[1]}
	pid, err := onThrowawayThread(birth.run)
	runtime.KeepAlive(spec.File)
	runtime.KeepAlive(spec.Stderr)
	if err != nil {
		return nil, err
	}
	fd, err := receivePidfd(pair[0])
	if err != nil {
		return nil, failed("hold the child", errors.Join(err, abort(pid)))
	}
	p, err := hold(pid, fd, true)
	if err != nil {
		return nil, errors.Join(err, abort(pid))
	}
	return p, nil
}

// abort ends a child that cannot be held. It is ours and unreaped, so its
// number cannot have been reused.
func abort(pid int) error {
	err := unix.Kill(pid, unix.SIGKILL)
	for {
		_, werr := unix.Wait4(pid, nil, 0, nil)
		if !errors.Is(werr, unix.EINTR) {
			return errors.Join(err, werr)
		}
	}
}

// birth is one fork and exec, made on a thread that is thrown away.
type birth struct {
	spec  Spec
	link  string
	stdio []uintptr
	send  int // where the pidfd is sent
}

// run gives the thread a descriptor table and file-system context of its own,
// so that what is changed for the child is changed for nobody else.
func (b *birth) run() (int, error) {
	if err := unix.Unshare(unix.CLONE_FILES | unix.CLONE_FS); err != nil {
		return 0, failed("unshare the descriptor table", err)
	}
	if err := closeOnExec(); err != nil {
		return 0, failed("mark descriptors close-on-exec", err)
	}
	unix.Umask(unix.Umask(0) | 0o022)
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &unix.Sigset_t{}, nil); err != nil {
		return 0, failed("clear the signal mask", err)
	}
	pidfd := -1
	pid, err := syscall.ForkExec(b.link, b.spec.Argv, &syscall.ProcAttr{
		Dir: b.spec.Dir, Env: b.spec.Env, Files: b.stdio,
		Sys: &syscall.SysProcAttr{Setsid: true, PidFD: &pidfd},
	})
	if err != nil {
		return 0, failed("execute "+b.spec.File.Name(), err)
	}
	if err := unix.Sendmsg(b.send, []byte{1}, unix.UnixRights(pidfd), nil, 0); err != nil {
		return 0, failed("hand over the child", errors.Join(err, abort(pid)))
	}
	return pid, nil
}

// onThrowawayThread runs f on an operating-system thread that ends with it. The
// main thread is never used: it cannot end before the process does, and its
// credentials and context are what others see of the process.
func onThrowawayThread(f func() (int, error)) (int, error) {
	type result struct {
		pid int
		err error
	}
	done := make(chan result, 1)
	var start func()
	start = func() {
		runtime.LockOSThread()
		if unix.Gettid() == os.Getpid() {
			inner := make(chan struct{})
			go func() { defer close(inner); start() }()
			<-inner
			runtime.UnlockOSThread()
			return
		}
		pid, err := f()
		done <- result{pid, err}
	}
	go start()
	r := <-done
	return r.pid, r.err
}

// closeOnExec marks every descriptor above 2 of this thread's own table.
// CLOSE_RANGE_CLOEXEC came with Linux 5.11; before, the table is read.
func closeOnExec() error {
	err := unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC)
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) {
		return err
	}
	return markEach()
}

func markEach() error {
	dir, err := unix.Open("/proc/thread-self/fd", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	buf := make([]byte, 1<<16)
	for {
		n, err := unix.ReadDirent(dir, buf)
		if err != nil || n == 0 {
			return err
		}
		_, _, names := unix.ParseDirent(buf[:n], -1, nil)
		for _, name := range names {
			fd, err := strconv.Atoi(name)
			if err != nil || fd <= 2 {
				continue
			}
			if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
				return err
			}
		}
	}
}

func receivePidfd(sock int) (int, error) {
	buf, oob := make([]byte, 1), make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(sock, buf, oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return -1, err
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil {
		return -1, err
	}
	if len(msgs) != 1 {
		return -1, fmt.Errorf("%d control messages instead of one", len(msgs))
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil {
		return -1, err
	}
	if len(fds) != 1 {
		return -1, fmt.Errorf("%d descriptors instead of one", len(fds))
	}
	return fds[0], nil
}
