package process

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/code"
)

// tracee is a child that stops at its exec. Every method must be called on the
// thread that forked it: ptrace knows no other.
type tracee int

// traced makes a child stop before the first instruction of what it executes,
// and die with the thread that forked it.
func traced(attr *syscall.SysProcAttr) {
	attr.Ptrace, attr.Pdeathsig = true, unix.SIGKILL
}

// blockAllButTrap keeps signals from stopping the child before its exec, when
// nobody could continue it: the forking thread sleeps until then.
func blockAllButTrap() error {
	var all unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	all.Val[0] &^= 1 << (unix.SIGTRAP - 1)
	return unix.PthreadSigmask(unix.SIG_SETMASK, &all, nil)
}

// take waits for the stop at exec. From before the stop is consumed the kernel
// kills the child when this thread ends, whatever becomes of the death signal.
func (t tracee) take() error {
	var info unix.Siginfo
	for {
		err := unix.Waitid(unix.P_PID, int(t), &info, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT|unix.WALL, nil)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EINTR) {
			return unavailable("wait for the stop at exec", err)
		}
	}
	if info.Code != cldTrapped {
		return failed("stop at exec", errors.New("the child ended before its first instruction"))
	}
	if err := unix.PtraceSetOptions(int(t), unix.PTRACE_O_EXITKILL|unix.PTRACE_O_TRACESYSGOOD); err != nil {
		return unavailable("let the kernel end the child with its launcher", err)
	}
	return t.wait(unix.SIGTRAP)
}

// wait consumes the next stop, which must be of the given kind.
func (t tracee) wait(want unix.Signal) error {
	for {
		var ws unix.WaitStatus
		_, err := unix.Wait4(int(t), &ws, unix.WALL, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return unavailable("wait for the stopped child", err)
		case !ws.Stopped():
			return failed("hold the child in its stop", errors.New("it was ended from outside"))
		case ws.StopSignal() != want:
			return failed("hold the child in its stop", fmt.Errorf("signal %d came from outside", ws.StopSignal()))
		default:
			return nil
		}
	}
}

// release lets the child run as if it had never been traced: no death signal,
// no blocked and no pending signal of ours.
func (t tracee) release() error {
	if err := t.clearDeathSignal(); err != nil {
		return err
	}
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

// syscall makes the stopped child execute one system call by the given machine
// instruction, and puts back what stood at its program counter. The registers
// are the caller's to set and restore.
func (t tracee) syscall(pc uintptr, instruction []byte, set func() error) error {
	text := make([]byte, len(instruction))
	if _, err := unix.PtracePeekText(int(t), pc, text); err != nil {
		return unavailable("read the child's text", err)
	}
	if _, err := unix.PtracePokeText(int(t), pc, instruction); err != nil {
		return unavailable("write the child's text", err)
	}
	if err := set(); err != nil {
		return unavailable("set the child's registers", err)
	}
	for range 2 { // to its entry, to its exit
		if err := unix.PtraceSyscall(int(t), 0); err != nil {
			return unavailable("continue the child", err)
		}
		if err := t.wait(unix.SIGTRAP | 0x80); err != nil {
			return err
		}
	}
	if _, err := unix.PtracePokeText(int(t), pc, text); err != nil {
		return unavailable("restore the child's text", err)
	}
	return nil
}

func unavailable(op string, err error) *Error {
	return &Error{C: code.BindingUnavailable, Op: op, Err: err}
}

// CanStop tries whether a child can be held at its exec and released here. The
// error says why not: a system call filter, a security module
// (kernel.yama.ptrace_scope), a processor without support (it then wraps
// errors.ErrUnsupported). The child is this very program; it is ended before its
// first instruction.
func CanStop() error {
	if !canInject {
		return unavailable("stop at exec", fmt.Errorf("on this processor: %w", errors.ErrUnsupported))
	}
	done := make(chan error, 1)
	onThrowawayThread(func() { done <- tryStop() })
	return <-done
}

func tryStop() error {
	if err := blockAllButTrap(); err != nil {
		return unavailable("set the signal mask", err)
	}
	attr := &syscall.SysProcAttr{Setsid: true}
	traced(attr)
	pid, err := syscall.ForkExec("/proc/self/exe", []string{""}, &syscall.ProcAttr{Sys: attr})
	if err != nil {
		return unavailable("start a traced child (seccomp and kernel.yama.ptrace_scope can forbid it)", err)
	}
	t := tracee(pid)
	err = t.take()
	if err == nil {
		err = t.clearDeathSignal()
	}
	if aerr := abort(pid); err == nil && aerr != nil {
		return unavailable("end a traced child", aerr)
	}
	return err
}
