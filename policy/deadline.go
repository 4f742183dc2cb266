package policy

import (
	"runtime"
	"sync"
	"time"
)

// patienceFactor bounds a decision by the wall clock: a machine so busy that it
// takes this many times the deadline gives no decision, which denies.
const patienceFactor = 20

// deadline calls expired once this goroutine has used limit of a processor's
// time, or when patienceFactor times as much has passed: a rule that never ends is
// stopped, and a rule that waits for a busy machine is not. Where the system
// does not tell a thread's time, limit is what may pass. The caller must call stop
// on the same goroutine.
func deadline(limit time.Duration, expired func()) (stop func()) {
	runtime.LockOSThread()
	used := threadTime()
	begin := time.Now()
	d := &watch{}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.timer = time.AfterFunc(limit, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.stopped {
			return
		}
		left := limit - used()
		if left <= 0 || time.Since(begin) >= patienceFactor*limit {
			expired()
			return
		}
		d.timer.Reset(max(left, time.Millisecond))
	})
	return func() {
		d.mu.Lock()
		d.stopped = true
		d.mu.Unlock()
		d.timer.Stop()
		runtime.UnlockOSThread()
	}
}

type watch struct {
	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
}
