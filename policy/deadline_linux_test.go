package policy

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDeadlineCountsProcessorTime(t *testing.T) {
	const limit = 50 * time.Millisecond
	var expired atomic.Bool
	stop := deadline(limit, func() { expired.Store(true) })
	<-time.After(4 * limit) // as on a machine that has no time for us
	require.False(t, expired.Load(), "waiting uses nothing")
	used := threadTime()
	for begin := time.Now(); !expired.Load() && time.Since(begin) < 20*time.Second; {
	}
	stop()
	require.True(t, expired.Load())
	require.Less(t, used(), 10*limit)
}

func TestDeadlineEndsByTheWallClock(t *testing.T) {
	expired := make(chan struct{})
	stop := deadline(5*time.Millisecond, func() { close(expired) })
	defer stop()
	<-expired // it uses nothing at all
}
