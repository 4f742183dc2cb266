package process_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestEndsWithin(t *testing.T) {
	p, _ := start(t, "wait", nil)
	require.False(t, p.EndsWithin(0))
	require.False(t, p.EndsWithin(-time.Hour))
	require.False(t, p.EndsWithin(time.Millisecond))
	require.NoError(t, p.Signal(unix.SIGKILL))
	require.True(t, p.EndsWithin(time.Minute))
	require.True(t, p.EndsWithin(0))
	ended(t, p)
	require.True(t, p.EndsWithin(0), "also once it is reaped")
	require.NoError(t, p.Close())
	require.False(t, p.EndsWithin(time.Minute), "of which nothing can be asked any more")
}
