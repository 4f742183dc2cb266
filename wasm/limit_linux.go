//go:build amd64 || arm64

package wasm

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// busyFactor bounds a run by the clock: on a machine that has no time for its
// worker it may take this many times the deadline.
const busyFactor = 5

// limit ends the workers of one run once they have used the deadline of a
// processor's time, or busyFactor times as much has passed: a guest that never
// ends is ended, and one that waits for a busy machine is not.
type limit struct {
	deadline time.Duration
	began    time.Time
	end      context.CancelFunc

	mu      sync.Mutex
	used    time.Duration // by workers that have ended
	expired bool
}

func newLimit(ctx context.Context, deadline time.Duration) (context.Context, *limit) {
	ctx, end := context.WithCancel(ctx)
	return ctx, &limit{deadline: deadline, began: time.Now(), end: end}
}

// cancel releases what the limit holds.
func (l *limit) cancel() { l.end() }

// isOver reports whether the limit ended the run.
func (l *limit) isOver() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.expired
}

// watch looks at a worker until done is called with what it used in the end. A
// nil limit watches nothing.
func (l *limit) watch(pid int) (done func(used time.Duration)) {
	if l == nil {
		return func(time.Duration) {}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	ended := false
	var timer *time.Timer
	timer = time.AfterFunc(max(0, l.deadline-l.used), func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if ended {
			return
		}
		now, err := processorTime(pid)
		if err != nil {
			return // it has just ended
		}
		left := l.deadline - l.used - now
		if left <= 0 || time.Since(l.began) >= busyFactor*l.deadline {
			l.expired = true
			l.end()
			return
		}
		timer.Reset(max(left, time.Millisecond))
	})
	return func(used time.Duration) {
		l.mu.Lock()
		defer l.mu.Unlock()
		ended = true
		l.used += used
		timer.Stop()
	}
}

// processorTime is what a process has used. The clock's number is made as
// clock_getcpuclockid(3) makes it; see CLOCK_PROCESS_CPUTIME_ID in
// clock_getres(2).
func processorTime(pid int) (time.Duration, error) {
	const sched = 2
	var t unix.Timespec
	err := unix.ClockGettime(int32(^pid<<3|sched), &t)
	return time.Duration(t.Nano()), err
}
