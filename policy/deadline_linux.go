package policy

import (
	"time"

	"golang.org/x/sys/unix"
)

// threadTime gives a function that tells, on any thread, how much processor time
// the calling thread has used since. The clock's number is made as
// pthread_getcpuclockid(3) makes it; see CLOCK_THREAD_CPUTIME_ID in
// clock_getres(2). A clock that fails has always used up everything.
func threadTime() func() time.Duration {
	const perThread, sched = 4, 2
	clock := int32(^unix.Gettid()<<3 | perThread | sched)
	read := func() (time.Duration, error) {
		var t unix.Timespec
		err := unix.ClockGettime(clock, &t)
		return time.Duration(t.Nano()), err
	}
	begin, err := read()
	return func() time.Duration {
		now, again := read()
		if err != nil || again != nil {
			return 1<<63 - 1
		}
		return now - begin
	}
}
