package process

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/fault"
)

// A child with [Spec.Stop] is nothing but a list of system calls until it is the
// program: it shares the launcher's memory, has descriptors of its own, and no
// line of a language with a runtime runs in it.
//
// It asks to be traced and stops itself. The launcher then has the kernel kill
// it together with its tracer, and lets it go on to its exec, where it is held.
// Until that order stands the death signal does the same; but a child whose
// launcher is already being killed is told that it is traced when it is not, and
// its death signal comes only at the end of the launcher's. So it asks twice: who
// is traced is refused (EPERM). And a stop can be over without the launcher's
// doing, by SIGCONT, or because the launcher has consumed it and died; so it asks
// the memory that both share whether it was let go, and else ends.
type child struct {
	// What born reads and writes; the order is its own.
	first  *call
	failed uintptr // where the call is that failed; 0 for none
	result int64   // of it
	letGo  uint32  // set to 1 by the launcher, once the child ends with it

	calls []call
	what  []string // for an error, by call
	// What the calls' arguments point to. The child reaches it by address, so it is
	// kept here, on the heap, until the child is another program.
	memory []any
}

// call is one system call. Its layout is known to born.
type call struct {
	number    uintptr
	args      [6]uintptr
	carry     uintptr // bits of the last call's result that are added to the first argument
	low, high int64   // any other result is a failure
}

const (
	anyResult = math.MaxInt64
	allBits   = ^uintptr(0)
)

func newChild() *child {
	c := &child{}
	trap := &unix.Sigset_t{}
	trap.Val[0] = 1 << (unix.SIGTRAP - 1)
	c.memory = append(c.memory, trap)
	self := int64(os.Getpid())

	c.add("end with the launcher", 0, 0, unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL))
	c.add("find the launcher alive", self, self, unix.SYS_GETPPID)
	c.add(asked, 0, 0, unix.SYS_PTRACE, unix.PTRACE_TRACEME)
	c.add(traced, -int64(unix.EPERM), -int64(unix.EPERM), unix.SYS_PTRACE, unix.PTRACE_TRACEME)
	// Should the stop be taken away from it, this signal stops it at its exec.
	c.add("unblock SIGTRAP", 0, 0, unix.SYS_RT_SIGPROCMASK, unix.SIG_UNBLOCK, uintptr(unsafe.Pointer(trap)), 0, unsafe.Sizeof(trap.Val[0]))
	c.add("find its number", 1, anyResult, unix.SYS_GETPID)
	c.add("stop", 0, 0, unix.SYS_KILL, 0, uintptr(unix.SIGSTOP))
	c.calls[len(c.calls)-1].carry = allBits
	now := &unix.Timespec{}
	c.memory = append(c.memory, now)
	c.add(freed, -int64(unix.EAGAIN), -int64(unix.EAGAIN), unix.SYS_FUTEX, uintptr(unsafe.Pointer(&c.letGo)), futexWait, 0, uintptr(unsafe.Pointer(now)))
	c.add("outlive the launcher", 0, 0, unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, 0)
	return c
}

// What a child does whose failure means that it cannot be held.
const (
	asked  = "ask to be traced (seccomp and kernel.yama.ptrace_scope can forbid it)"
	traced = "be traced"
	freed  = "be let go"
)

// futexWait is FUTEX_WAIT_PRIVATE, which is refused (EAGAIN) where the memory has
// another value than the given one.
const futexWait = 128

func (c *child) add(what string, low, high int64, number uintptr, args ...uintptr) {
	next := call{number: number, low: low, high: high}
	copy(next.args[:], args)
	c.calls, c.what = append(c.calls, next), append(c.what, what)
}

// bytes gives the address of what stays where it is as long as c does.
func (c *child) bytes(b []byte) uintptr {
	c.memory = append(c.memory, b)
	return uintptr(unsafe.Pointer(&b[0]))
}

func (c *child) text(s string) (uintptr, error) {
	b, err := unix.ByteSliceFromString(s)
	if err != nil {
		return 0, err
	}
	return c.bytes(b), nil
}

func (c *child) texts(list []string) (uintptr, error) {
	p, err := syscall.SlicePtrFromStrings(list)
	if err != nil {
		return 0, err
	}
	c.memory = append(c.memory, p)
	return uintptr(unsafe.Pointer(&p[0])), nil
}

// become makes the child the program, by a path that leads to it or, without one,
// by its descriptor. stdio and everything in spec must have numbers above 2.
func (c *child) become(spec *Spec, path string, stdio [3]int) error {
	dir, err := c.text(spec.Dir)
	if err != nil {
		return failed("take the working directory", err)
	}
	at, err := c.text(path)
	if err != nil {
		return failed("name the process", err)
	}
	argv, err := c.texts(spec.Argv)
	if err != nil {
		return failed("take the arguments", err)
	}
	env, err := c.texts(spec.Env)
	if err != nil {
		return failed("take the environment", err)
	}
	if !fault.Mutant("no-session") {
		c.add("begin a session", 1, anyResult, unix.SYS_SETSID)
	}
	c.add("read the umask", 0, 0o777, unix.SYS_UMASK, 0o777)
	c.add("set the umask", 0, 0o777, unix.SYS_UMASK, 0o022)
	c.calls[len(c.calls)-1].carry = 0o777
	c.add("change to the working directory "+spec.Dir, 0, 0, unix.SYS_CHDIR, dir)
	for to, from := range stdio {
		c.add(fmt.Sprintf("make descriptor %d", to), int64(to), int64(to), unix.SYS_DUP3, uintptr(from), uintptr(to))
	}
	c.keepOnly(spec)
	// Last: it may allow none of the descriptors.
	if limit := spec.Stop.original(); limit != nil {
		now := &unix.Rlimit{Cur: limit.Cur, Max: limit.Max}
		c.memory = append(c.memory, now)
		c.add("restore the limit of open files", 0, 0, unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, uintptr(unsafe.Pointer(now)))
	}
	if path == "" {
		c.add("execute "+spec.File.Name(), 1, 0, unix.SYS_EXECVEAT, spec.File.Fd(), at, argv, env, unix.AT_EMPTY_PATH)
	} else {
		c.add("execute "+spec.File.Name(), 1, 0, unix.SYS_EXECVE, at, argv, env)
	}
	return nil
}

// keepOnly closes every descriptor above 2 but those that are kept, and the
// program's own, which goes at the exec.
func (c *child) keepOnly(spec *Spec) {
	stay := []uintptr{spec.File.Fd()}
	for _, f := range spec.Keep {
		stay = append(stay, f.Fd())
	}
	slices.Sort(stay)
	next := uintptr(3)
	for _, fd := range slices.Compact(stay) {
		if fd > next && !fault.Mutant("leave-descriptors") {
			c.add("close descriptors", 0, 0, unix.SYS_CLOSE_RANGE, next, fd-1, 0)
		}
		next = fd + 1
	}
	if !fault.Mutant("leave-descriptors") {
		c.add("close descriptors", 0, 0, unix.SYS_CLOSE_RANGE, next, math.MaxUint32, 0)
	}
	c.add("close the program's descriptor", 0, 0, unix.SYS_FCNTL, spec.File.Fd(), unix.F_SETFD, unix.FD_CLOEXEC)
	for _, f := range spec.Keep {
		c.add("keep "+f.Name(), 0, 0, unix.SYS_FCNTL, f.Fd(), unix.F_SETFD, 0)
	}
}

// bear makes the child and leaves it in its stop. It must be called on the thread
// that is to trace it.
func (c *child) bear() (pid, pidfd int, err error) {
	c.first = &c.calls[0]
	mine, err := blockSignals()
	if err != nil {
		return 0, 0, failed("set the signal mask", err)
	}
	var fd int32
	pid = born(unix.CLONE_VM|unix.CLONE_PIDFD|uintptr(unix.SIGCHLD), &fd, c)
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, mine, nil); err != nil && pid > 0 {
		return pid, int(fd), failed("set the signal mask", err)
	}
	if pid < 0 {
		return 0, 0, failed("make a child", unix.Errno(-pid))
	}
	fault.At(fault.SpawnForked)
	return pid, int(fd), tracee(pid).bind(c)
}

// why says what went wrong in a child that has ended.
func (c *child) why() error {
	if c.failed == 0 {
		return failed("stop at exec", errors.New("the child ended before its first instruction"))
	}
	for i := range c.calls {
		if uintptr(unsafe.Pointer(&c.calls[i])) != c.failed {
			continue
		}
		switch c.what[i] {
		case asked:
			return unavailable(asked, unix.Errno(-c.result))
		case traced:
			return unavailable("stop at exec", errors.New("the kernel does not trace the child"))
		case freed:
			return failed("hold the child in its stop", errors.New("a signal from outside ended the stop"))
		}
		return failed(c.what[i], unix.Errno(-c.result))
	}
	return failed("stop at exec", errors.New("the child lost its way"))
}
