package process

import (
	"errors"
	"fmt"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/fault"
)

// tracee is a child that stops at its exec. Every method must be called on the
// thread that forked it: ptrace knows no other.
type tracee int

// forkTraced makes a child that executes the starter, and the starter the program
// behind a descriptor, by a path that leads to it. The child is left in its stop
// at that second exec, before the program's first instruction.
func forkTraced(program int, path, name string, argv []string, attr *syscall.ProcAttr) (int, error) {
	starter, err := makeStarter(program, path)
	if err != nil {
		return 0, unavailable("make the starter", err)
	}
	defer starter.Close()
	// The program must survive the first exec; the starter takes care of the second.
	if _, err := unix.FcntlInt(uintptr(program), unix.F_SETFD, 0); err != nil {
		return 0, failed("keep "+name, err)
	}
	attr.Sys.Ptrace, attr.Sys.Pdeathsig = true, unix.SIGKILL
	pid, err := syscall.ForkExec(selfFD(int(starter.Fd())), argv, attr)
	if err != nil {
		return 0, failed("execute "+name, err)
	}
	fault.At(fault.SpawnForked)
	if err := tracee(pid).take(name); err != nil {
		return 0, errors.Join(err, abort(pid))
	}
	fault.At(fault.SpawnHeld)
	return pid, nil
}

func selfFD(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

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

// take waits for the stop at the starter's exec and goes on to the program's. From
// before the first stop is consumed the kernel kills the child when this thread
// ends, whatever becomes of the death signal.
func (t tracee) take(name string) error {
	if err := t.look(name); err != nil {
		return err
	}
	if err := unix.PtraceSetOptions(int(t), unix.PTRACE_O_EXITKILL|unix.PTRACE_O_TRACEEXEC); err != nil {
		return unavailable("let the kernel end the child with its launcher", err)
	}
	if err := t.consume(0); err != nil {
		return err
	}
	if err := unix.PtraceCont(int(t), 0); err != nil {
		return unavailable("continue the starter", err)
	}
	if err := t.look(name); err != nil {
		return err
	}
	return t.consume(unix.PTRACE_EVENT_EXEC)
}

// look waits until the child stops. It takes nothing away: a child that has
// ended stays unreaped.
func (t tracee) look(name string) error {
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
	switch status := childStatus(&info); {
	case info.Code == cldTrapped:
		return nil
	case info.Code == cldExited && status == 0:
		return unavailable("stop at exec", errors.New("the kernel does not trace the child"))
	case info.Code == cldExited:
		return failed("execute "+name, unix.Errno(status))
	}
	return failed("stop at exec", errors.New("the child ended before its first instruction"))
}

// consume takes the stop that look has seen, which must be of the given event.
func (t tracee) consume(event int) error {
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
		case ws.StopSignal() != unix.SIGTRAP || ws.TrapCause() != event:
			return failed("hold the child in its stop", fmt.Errorf("signal %d came from outside", ws.StopSignal()))
		}
		return nil
	}
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

func unavailable(op string, err error) *Error {
	return &Error{C: code.BindingUnavailable, Op: op, Err: err}
}

// CanStop tries whether a child can be held at its exec here. The error says why
// not: a system call filter, a security module (kernel.yama.ptrace_scope), no
// executable memory files (vm.memfd_noexec), a processor without support (it
// then wraps errors.ErrUnsupported). The child is the starter itself, twice; it is
// ended before it could begin again.
func CanStop() error {
	done := make(chan error, 1)
	onThrowawayThread(func() { done <- tryStop() })
	return <-done
}

func tryStop() error {
	if err := unix.Unshare(unix.CLONE_FILES); err != nil {
		return unavailable("unshare the descriptor table", err)
	}
	if err := blockAllButTrap(); err != nil {
		return unavailable("set the signal mask", err)
	}
	program, err := makeStarter(0, "")
	if err != nil {
		return unavailable("make the starter", err)
	}
	defer program.Close()
	pid, err := forkTraced(int(program.Fd()), selfFD(int(program.Fd())), "the starter", []string{""}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{Setsid: true}})
	if err != nil {
		return unavailable("hold a child at its exec (seccomp and kernel.yama.ptrace_scope can forbid it)", err)
	}
	if err := abort(pid); err != nil {
		return unavailable("end a traced child", err)
	}
	return nil
}
