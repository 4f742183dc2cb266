package process

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Become turns this process into spec.File, which is executed by its descriptor
// and by no path: same process id, descriptors 0 to 2 as they are, nothing open
// above them but spec.Keep, no signal blocked. Signals that this process ignores
// stay ignored. Name, LinkDir, Stderr and Stop have no meaning here: the kernel
// names the process after the file (before Linux 6.14: after the descriptor's
// number), and a process cannot hold itself at its exec. Scripts fail with
// ENOENT, because nothing is left by which their interpreter could open them.
//
// What belongs to a thread (no_new_privs, Landlock, capabilities) goes over from
// the calling one: a caller who restricted it must not leave it. Become returns
// only on failure. The process is then as it was, except that its descriptors
// above 2 have become close-on-exec.
func Become(spec Spec) error {
	argv, err := syscall.SlicePtrFromStrings(spec.Argv)
	if err != nil {
		return failed("take the arguments", err)
	}
	env, err := syscall.SlicePtrFromStrings(spec.Env)
	if err != nil {
		return failed("take the environment", err)
	}
	if err := closeOnExec(); err != nil {
		return failed("mark descriptors close-on-exec", err)
	}
	undo, err := prepare(spec)
	if err == nil {
		err = execute(spec.File, argv, env)
	}
	return errors.Join(err, undo())
}

func execute(f *os.File, argv, env []*byte) error {
	empty := new(byte)
	_, _, errno := unix.RawSyscall6(unix.SYS_EXECVEAT, f.Fd(), uintptr(unsafe.Pointer(empty)),
		uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&env[0])), unix.AT_EMPTY_PATH, 0)
	return failed("execute "+f.Name(), errno)
}

// prepare changes of this process what the program is to inherit. What it
// returns takes that back.
func prepare(spec Spec) (undo func() error, err error) {
	var done []func() error
	undo = func() error {
		var errs []error
		for i := len(done) - 1; i >= 0; i-- {
			errs = append(errs, done[i]())
		}
		return errors.Join(errs...)
	}
	for _, f := range spec.Keep {
		if _, err := unix.FcntlInt(f.Fd(), unix.F_SETFD, 0); err != nil {
			return undo, failed("keep "+f.Name(), err)
		}
		done = append(done, func() error {
			_, err := unix.FcntlInt(f.Fd(), unix.F_SETFD, unix.FD_CLOEXEC)
			return err
		})
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return undo, failed("read the limit of open files", err)
	}
	// Go raises this limit in every program. Only its own exec knows what it was
	// and puts that back, here with a path that cannot be executed.
	if err := syscall.Exec("", nil, nil); !errors.Is(err, unix.ENOENT) {
		return undo, failed("restore the limit of open files", fmt.Errorf("executing nothing: %w", err))
	}
	done = append(done, func() error { return unix.Prlimit(0, unix.RLIMIT_NOFILE, &limit, nil) })

	umask := unix.Umask(0)
	unix.Umask(umask | 0o022)
	done = append(done, func() error { unix.Umask(umask); return nil })

	here, err := unix.Open(".", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return undo, failed("find the working directory", err)
	}
	done = append(done, func() error { return unix.Close(here) })
	if err := unix.Chdir(spec.Dir); err != nil {
		return undo, failed("change to the working directory "+spec.Dir, err)
	}
	done = append(done, func() error { return unix.Fchdir(here) })

	var mask unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &unix.Sigset_t{}, &mask); err != nil {
		return undo, failed("clear the signal mask", err)
	}
	done = append(done, func() error { return unix.PthreadSigmask(unix.SIG_SETMASK, &mask, nil) })
	return undo, nil
}
