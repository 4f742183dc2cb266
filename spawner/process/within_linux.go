package process

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// EndsWithin waits at most d for the end of the process and reports whether it
// came; 0 only looks. It blocks a thread of the operating system meanwhile and
// hears of no context, which is why d should be milliseconds at most, and is
// precise to some 50 µs where a timer of an idle Go program fires no earlier
// than after a millisecond. An error counts as no end: [Process.Alive] tells.
func (p *Process) EndsWithin(d time.Duration) bool {
	ended := false
	until := time.Now().Add(d)
	err := p.WithPidfd(func(fd int) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		for {
			left := unix.NsecToTimespec(max(0, time.Until(until).Nanoseconds()))
			n, err := unix.Ppoll(fds, &left, nil)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			ended = err == nil && n > 0 && fds[0].Revents&unix.POLLIN != 0
			return
		}
	})
	return err == nil && ended
}
