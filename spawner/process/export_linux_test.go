package process

import (
	"runtime"
	"slices"

	"golang.org/x/sys/unix"
)

// Unguarded makes a child that has lost everything by which its launcher holds it,
// as one whose launcher is killed can: it is not traced, no death signal ends it,
// and its stop is over. It returns when the child has ended or become the program.
func Unguarded(spec Spec) (unix.WaitStatus, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	stdio, done, err := openStdio(nil)
	if err != nil {
		return 0, err
	}
	defer done()
	c := newChild()
	lost := []string{"end with the launcher", asked, traced, "stop"}
	left := 0
	for i, what := range c.what {
		if slices.Contains(lost, what) {
			continue
		}
		c.calls[left], c.what[left] = c.calls[i], what
		left++
	}
	c.calls, c.what = c.calls[:left], c.what[:left]
	if err := c.become(&spec, "", stdio); err != nil {
		return 0, err
	}
	c.first = &c.calls[0]
	mine, err := blockSignals()
	if err != nil {
		return 0, err
	}
	var fd int32
	pid := born(unix.CLONE_VM|unix.CLONE_PIDFD|uintptr(unix.SIGCHLD), &fd, c)
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, mine, nil); err != nil {
		return 0, err
	}
	if pid < 0 {
		return 0, unix.Errno(-pid)
	}
	defer unix.Close(int(fd))
	var ws unix.WaitStatus
	for {
		_, err = unix.Wait4(pid, &ws, 0, nil)
		if err != unix.EINTR {
			break
		}
	}
	runtime.KeepAlive(c)
	runtime.KeepAlive(spec.File)
	return ws, err
}

// Inherited makes s give to children what a program would that was started with
// this limit of open files.
func (s *Stopper) Inherited(soft uint64) {
	s.limit = s.raised
	s.limit.Cur = soft
}
