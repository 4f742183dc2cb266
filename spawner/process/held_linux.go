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
	ticks uint64   // start time; 0 for a child of ours
	fd    *os.File // pidfd, in the runtime's poller
	done  chan struct{}
	stop  *stop // nil unless it was started with Spec.Stop

	mu     sync.Mutex
	reaped bool
	exit   *Exit
	auto   bool // AutoReap still needs fd
	closed bool // Close was called meanwhile
}

// stop holds a process at its exec.
type stop struct {
	tracer  *tracer
	settled bool // it is released or given up; guarded by Process.mu
}

// Release lets a process go that was started with Spec.Stop. It then runs as if
// it had never been held: not traced, no signal pending, blocked or sent with
// the launcher's end. After an error the process does not run, and is still the
// caller's to end. Releasing twice, or what was never stopped, does nothing. It
// must be called by the goroutine that started the process.
func (p *Process) Release() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stop == nil || p.stop.settled {
		return nil
	}
	if !p.stop.tracer.ready() {
		return failed("let the child go", errors.New("a process is released by the goroutine that has started it"))
	}
	p.stop.settled = true
	var err error
	p.stop.tracer.do(func() { err = tracee(p.pid).release() })
	if err != nil {
		err = errors.Join(err, p.Signal(unix.SIGKILL))
	}
	p.stop.tracer.end()
	return err
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
	} else if errors.Is(err, ErrGone) && !readable(fd) {
		err = fmt.Errorf("process %d is alive and /proc does not show it", pid)
	}
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	p, err := hold(pid, fd, false)
	if err == nil {
		p.ticks = startTicks
	}
	return p, err
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
	e, ended, err := p.waitid(unix.WNOWAIT)
	if err != nil || !ended {
		return Exit{}, false
	}
	p.exit = &e
	return e, true
}

// holdsNumber reports whether the process's number cannot be anybody else's: it
// is alive, or our child that nobody has reaped. A host that reaps all children
// itself, or ignores SIGCHLD, takes that away.
func (p *Process) holdsNumber() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.unreaped() || p.Alive()
}

func (p *Process) unreaped() bool {
	if !p.child || p.reaped {
		return false
	}
	_, _, err := p.waitid(unix.WNOWAIT)
	return err == nil
}

// killGroup kills the process group of a child that nobody can have reaped.
func (p *Process) killGroup() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.unreaped() {
		_ = unix.Kill(-p.pid, unix.SIGKILL) // ESRCH: nobody is left
	}
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
		_, _, _ = p.waitid(0) // what it tells is known
		p.reaped = true
	}
}

// AutoReap reaps the child when it ends, also after Close.
func (p *Process) AutoReap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.child || p.auto || p.closed {
		return
	}
	p.auto = true
	go func() {
		<-p.done
		p.Reap()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.auto = false
		if p.closed {
			_ = p.fd.Close() // nobody is left to be told
		}
	}()
}

// Close lets go of the process, which runs on unless it is still held at its exec. A child that is not yet reaped
// stays the caller's to reap; with AutoReap its descriptor stays open for that
// until it ends.
func (p *Process) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.stop != nil && !p.stop.settled {
		p.stop.settled = true
		defer p.stop.tracer.end()
		if !p.reaped {
			p.reaped = true
			if err := abort(p.pid); err != nil {
				return errors.Join(err, p.fd.Close())
			}
		}
	}
	if p.auto {
		return nil
	}
	return p.fd.Close()
}

// waitid is waitid(2) with P_PIDFD (Linux 5.4), without waiting. An error means
// that the process is not, or no longer, our child.
func (p *Process) waitid(options int) (e Exit, ended bool, err error) {
	var info unix.Siginfo
	cerr := p.WithPidfd(func(fd int) {
		for {
			err = unix.Waitid(unix.P_PIDFD, fd, &info, unix.WEXITED|unix.WNOHANG|options, nil)
			if !errors.Is(err, unix.EINTR) {
				return
			}
		}
	})
	if err := errors.Join(cerr, err); err != nil || info.Signo != int32(unix.SIGCHLD) {
		return Exit{}, false, err
	}
	status := childStatus(&info)
	const killed, dumped = 2, 3 // CLD_KILLED, CLD_DUMPED
	if info.Code != cldExited && info.Code != killed && info.Code != dumped {
		return Exit{}, false, nil // a stop of a traced child
	}
	return Exit{Signaled: info.Code == killed || info.Code == dumped, Status: status, Core: info.Code == dumped}, true, nil
}

// Codes of siginfo_t: the child has exited, it stopped for its tracer.
const (
	cldExited  = 1 // CLD_EXITED
	cldTrapped = 4 // CLD_TRAPPED
)

// childStatus reads the kernel's siginfo_t of SIGCHLD: after the three common
// integers, and padding to the word size, come pid, uid and status.
func childStatus(info *unix.Siginfo) int {
	offset := (12 + unsafe.Sizeof(uintptr(0)) - 1) &^ (unsafe.Sizeof(uintptr(0)) - 1)
	return int(*(*int32)(unsafe.Add(unsafe.Pointer(info), offset+8)))
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
