package process

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Process is held by pidfd: its number may be reused by the kernel after its
// end, but nothing here ever acts on the new owner. Safe for concurrent use.
type Process struct {
	pid   int
	child bool
	fd    *os.File // pidfd, in the runtime's poller
	done  chan struct{}

	mu     sync.Mutex
	reaped bool
	exit   *Exit
}

// hold takes over a pidfd.
func hold(pid, fd int, child bool) (*Process, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, failed("hold the child", errors.Join(err, unix.Close(fd)))
	}
	p := &Process{pid: pid, child: child, fd: os.NewFile(uintptr(fd), "pidfd"), done: make(chan struct{})}
	raw, err := p.fd.SyscallConn()
	if err != nil {
		return nil, failed("hold the child", errors.Join(err, p.fd.Close()))
	}
	go func() {
		// A closed pidfd ends the wait without the process having ended.
		if raw.Read(func(fd uintptr) bool { return readable(int(fd)) }) == nil {
			close(p.done)
		}
	}()
	return p, nil
}

// Open holds a process that somebody else started, if it is still the one that
// started at the given tick (field 22 of /proc/pid/stat; since boot). A process
// that is gone, or another one under the number, is [ErrGone].
func Open(pid int, startTicks uint64) (*Process, error) {
	if pid <= 0 || pid > 1<<22 {
		return nil, fmt.Errorf("pid %d is out of range", pid)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return nil, fmt.Errorf("%w: no process has the number %d", ErrGone, pid)
	}
	if err != nil {
		return nil, fmt.Errorf("pidfd_open %d: %w", pid, err)
	}
	st, err := ReadStat(pid)
	if err == nil && st.StartTicks != startTicks {
		err = fmt.Errorf("%w: the number %d now belongs to another process", ErrGone, pid)
	} else if err == nil && (readable(fd) || st.State == 'Z') {
		err = fmt.Errorf("%w: process %d has ended", ErrGone, pid)
	}
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return hold(pid, fd, false)
}

// ErrGone says that the process no longer exists.
var ErrGone = errors.New("the process is gone")

// PID is the process's number in this process's pid namespace.
func (p *Process) PID() int { return p.pid }

// Done is closed when the process has ended (it may still be unreaped).
func (p *Process) Done() <-chan struct{} { return p.done }

// Alive asks the kernel.
func (p *Process) Alive() bool {
	alive := false
	if raw, err := p.fd.SyscallConn(); err == nil {
		if err := raw.Control(func(fd uintptr) { alive = !readable(int(fd)) }); err != nil {
			return false
		}
	}
	return alive
}

// WithPidfd calls f with the pidfd, which stays valid during the call.
func (p *Process) WithPidfd(f func(fd int)) error {
	raw, err := p.fd.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) { f(int(fd)) })
}

// Signal sends a signal; to an ended process it is [ErrGone].
func (p *Process) Signal(sig unix.Signal) error {
	var err error
	if cerr := p.WithPidfd(func(fd int) { err = unix.PidfdSendSignal(fd, sig, nil, 0) }); cerr != nil {
		return cerr
	}
	if errors.Is(err, unix.ESRCH) {
		return ErrGone
	}
	return err
}

// Exit tells how an ended child of ours ended, without reaping it.
func (p *Process) Exit() (Exit, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exitLocked()
}

func (p *Process) exitLocked() (Exit, bool) {
	if p.exit != nil {
		return *p.exit, true
	}
	if !p.child || p.reaped {
		return Exit{}, false
	}
	e, ok := p.waitid(unix.WNOWAIT)
	if ok {
		p.exit = &e
	}
	return e, ok
}

// Reap removes an ended child of ours from the process table, which frees its
// number. It does not wait, and does nothing for others' children.
func (p *Process) Reap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.child || p.reaped {
		return
	}
	if _, ended := p.exitLocked(); ended {
		p.waitid(0)
		p.reaped = true
	}
}

// AutoReap reaps the child when it ends.
func (p *Process) AutoReap() {
	if p.child {
		go func() { <-p.done; p.Reap() }()
	}
}

// Close lets go of the process, which runs on. A child that is not yet reaped
// stays the caller's to reap.
func (p *Process) Close() error { return p.fd.Close() }

// waitid is waitid(2) with P_PIDFD (Linux 5.4), without waiting.
func (p *Process) waitid(options int) (e Exit, ended bool) {
	var info unix.Siginfo
	err := p.WithPidfd(func(fd int) {
		for {
			err := unix.Waitid(unix.P_PIDFD, fd, &info, unix.WEXITED|unix.WNOHANG|options, nil)
			if !errors.Is(err, unix.EINTR) {
				ended = err == nil && info.Signo == int32(unix.SIGCHLD)
				return
			}
		}
	})
	if err != nil || !ended {
		return Exit{}, false
	}
	// The kernel's siginfo_t of SIGCHLD: after the three common integers, and
	// padding to the word size, come pid, uid and status.
	offset := (12 + unsafe.Sizeof(uintptr(0)) - 1) &^ (unsafe.Sizeof(uintptr(0)) - 1)
	status := *(*int32)(unsafe.Add(unsafe.Pointer(&info), offset+8))
	const exited, killed, dumped = 1, 2, 3 // CLD_EXITED, CLD_KILLED, CLD_DUMPED
	return Exit{Signaled: info.Code == killed || info.Code == dumped, Status: int(status), Core: info.Code == dumped}, true
}

func readable(fd int) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		return err == nil && n > 0 && fds[0].Revents&unix.POLLIN != 0
	}
}

func signalName(n int) string {
	if s := unix.SignalName(unix.Signal(n)); s != "" {
		return s
	}
	return "unknown"
}
