package process

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// action is the kernel's struct sigaction, which no processor has larger. Zero
// is the default action without flags.
type action [8]uint64

const signalCount = 64

// DefaultSignals puts every signal at its default action in this process, those
// that it handles or ignores too, and returns what puts them back. From then on a
// signal does to this process what it would do to the program that it is about to
// become, and none is lost in between. Those by which the language's runtime finds
// faults stay its own: executing a program resets what is handled.
func DefaultSignals() (restore func()) {
	var before [signalCount + 1]action
	var changed []int
	for sig := 1; sig <= signalCount; sig++ {
		switch unix.Signal(sig) {
		case unix.SIGKILL, unix.SIGSTOP, unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL, unix.SIGTRAP, unix.SIGURG, unix.SIGPROF:
			continue
		}
		if setAction(sig, &action{}, &before[sig]) == 0 {
			changed = append(changed, sig)
		}
	}
	return func() {
		for _, sig := range changed {
			setAction(sig, &before[sig], nil)
		}
	}
}

func setAction(sig int, to, before *action) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(to)), uintptr(unsafe.Pointer(before)), signalCount/8, 0, 0)
	return errno
}
