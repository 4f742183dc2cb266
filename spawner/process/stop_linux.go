package process

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/fault"
)

// startStopped makes a child that is held at its exec, by the thread that traces
// it: ptrace knows no other.
func startStopped(spec *Spec, path string, stdio [3]int) (*Process, error) {
	c := newChild()
	if err := c.become(spec, path, stdio); err != nil {
		return nil, err
	}
	defer runtime.KeepAlive(c) // after an error until the child is ended: it may still read what it does next
	t := tracerOf(spec)
	var pid, fd int
	var err error
	t.do(func() {
		if err = spec.confine(); err == nil {
			pid, fd, err = c.bear()
		}
		if err == nil {
			err = tracee(pid).proceed(c)
		}
	})
	var p *Process
	if err == nil {
		p, err = hold(pid, fd, true)
	} else if pid > 0 {
		err = errors.Join(err, unix.Close(fd))
	}
	if err != nil {
		if pid > 0 {
			err = errors.Join(err, abort(pid))
		}
		t.end()
		return nil, err
	}
	p.stop = &stop{tracer: t}
	return p, nil
}

// tracer is a thread that traces children.
type tracer struct {
	thread int // the locked one of a goroutine; 0 with
	work   chan func()
}

// tracerOf locks the calling goroutine to its thread. A thread that restricts
// itself for the child's sake is made for that, and thrown away.
func tracerOf(spec *Spec) *tracer {
	if spec.OnThread == nil {
		runtime.LockOSThread()
		return &tracer{thread: unix.Gettid()}
	}
	t := &tracer{work: make(chan func())}
	onThrowawayThread(func() {
		for f := range t.work {
			f()
		}
	})
	return t
}

// ready reports whether the tracer can be told to do something from here.
func (t *tracer) ready() bool { return t.work != nil || t.thread == unix.Gettid() }

func (t *tracer) do(f func()) {
	if t.work == nil {
		f()
		return
	}
	done := make(chan struct{})
	t.work <- func() { defer close(done); f() }
	<-done
}

func (t *tracer) end() {
	if t.work == nil {
		runtime.UnlockOSThread()
		return
	}
	close(t.work)
}

// tracee is a child that stops at its exec. Its methods must be called on the
// thread that forked it.
type tracee int

// bind takes the child's first stop. The kernel is told to end the child together
// with this thread before the stop is consumed: a stop that was consumed is over
// when its tracer ends.
func (t tracee) bind(c *child) error {
	if err := t.stopped(c); err != nil {
		return err
	}
	if err := unix.PtraceSetOptions(int(t), unix.PTRACE_O_EXITKILL|unix.PTRACE_O_TRACEEXEC); err != nil {
		return unavailable("let the kernel end the child with its launcher", err)
	}
	return t.consume(unix.SIGSTOP, 0)
}

// proceed lets the child go on from its first stop to the one at its exec.
func (t tracee) proceed(c *child) error {
	atomic.StoreUint32(&c.letGo, 1)
	if err := unix.PtraceCont(int(t), 0); err != nil {
		return unavailable("continue the child", err)
	}
	if err := t.stopped(c); err != nil {
		return err
	}
	if err := t.consume(unix.SIGTRAP, unix.PTRACE_EVENT_EXEC); err != nil {
		return err
	}
	fault.At(fault.SpawnHeld)
	return nil
}

// consume takes the stop that was seen, which must be with a signal and of an
// event.
func (t tracee) consume(signal unix.Signal, event int) error {
	var ws unix.WaitStatus
	for {
		_, err := unix.Wait4(int(t), &ws, unix.WALL, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		switch {
		case err != nil:
			return unavailable("wait for the stopped child", err)
		case !ws.Stopped():
			return failed("hold the child in its stop", errors.New("it was ended from outside"))
		case ws.StopSignal() != signal || signal == unix.SIGTRAP && ws.TrapCause() != event:
			return failed("hold the child in its stop", fmt.Errorf("signal %d came from outside", ws.StopSignal()))
		}
		return nil
	}
}

// look waits until the child stops or ends. It takes nothing away: a child that
// has ended stays unreaped.
func (t tracee) look() (*unix.Siginfo, error) {
	var info unix.Siginfo
	for {
		err := unix.Waitid(unix.P_PID, int(t), &info, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT|unix.WALL, nil)
		if err == nil {
			return &info, nil
		}
		if !errors.Is(err, unix.EINTR) {
			return nil, unavailable("wait for a stop of the child", err)
		}
	}
}

// stopped waits until the child stops for this thread.
func (t tracee) stopped(c *child) error {
	info, err := t.look()
	if err == nil && info.Code != cldTrapped {
		err = c.why()
	}
	return err
}

// release lets the child run as if it had never been traced.
func (t tracee) release() error {
	var none uint64
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SETSIGMASK, uintptr(t), unsafe.Sizeof(none), uintptr(unsafe.Pointer(&none)), 0, 0)
	if errno != 0 {
		return unavailable("clear the child's signal mask", errno)
	}
	if err := unix.PtraceDetach(int(t)); err != nil {
		return unavailable("let the child go", err)
	}
	return nil
}

// abort ends a child that cannot be held. It is ours and unreaped, so its
// number cannot have been reused.
func abort(pid int) error {
	err := unix.Kill(pid, unix.SIGKILL)
	for {
		var ws unix.WaitStatus
		_, werr := unix.Wait4(pid, &ws, unix.WALL, nil)
		if !errors.Is(werr, unix.EINTR) && (werr != nil || !ws.Stopped()) {
			return errors.Join(err, werr)
		}
	}
}

// blockSignals blocks all signals of the calling thread, so that none of the
// host's handlers runs in a child of it, and tells which were blocked before.
func blockSignals() (before *unix.Sigset_t, err error) {
	var all unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	before = &unix.Sigset_t{}
	return before, unix.PthreadSigmask(unix.SIG_SETMASK, &all, before)
}

func unavailable(op string, err error) *Error {
	return &Error{C: code.BindingUnavailable, Op: op, Err: err}
}

func selfFD(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }
