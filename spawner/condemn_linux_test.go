package spawner_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner"
	"github.com/spawnward/spawnward/spawner/code"
)

// A backend that is being stopped and takes its time is nobody's to reuse: who
// waits gets a new one, who does not is told.
func TestLaunchDuringAStop(t *testing.T) {
	for name, begin := range map[string]func(*spawner.Local, *spawner.Handle) error{
		"by the command": func(l *spawner.Local, _ *spawner.Handle) error {
			_, err := l.Stop(context.Background(), "app", "", 700*time.Millisecond)
			return err
		},
		"by its handle": func(_ *spawner.Local, h *spawner.Handle) error {
			_, err := h.Stop(context.Background(), 700*time.Millisecond)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			l := w.local()
			h, err := l.Launch(context.Background(), w.request("ignore-term", nil))
			require.NoError(t, err)
			stopper, later := w.local(), w.local()
			stopped := make(chan error, 1)
			go func() { stopped <- begin(stopper, h) }()

			impatient := w.request("ignore-term", nil)
			impatient.NoWait = true
			require.Eventually(t, func() bool {
				other, err := later.Launch(context.Background(), impatient)
				if err == nil { // the stop has not begun
					require.Equal(t, spawner.Reused, other.Report().Outcome)
					require.NoError(t, other.Close())
					return false
				}
				codeIs(t, code.InProgress, err)
				require.ErrorContains(t, err, "stopping it")
				return true
			}, 20*time.Second, time.Millisecond)

			next, err := later.Launch(context.Background(), w.request("ignore-term", nil))
			require.NoError(t, err)
			require.Equal(t, spawner.Launched, next.Report().Outcome)
			require.NotEqual(t, h.Identity().PID, next.Identity().PID)
			require.NoError(t, <-stopped)
			require.NoError(t, next.Kill(context.Background()))
			require.NoError(t, h.Close())
			w.clean(t)
		})
	}
}

// Who cannot say that he stops a backend stops it all the same.
func TestStopWithoutATurn(t *testing.T) {
	w := newWorld(t)
	h, err := w.local().Launch(context.Background(), w.request("good", nil))
	require.NoError(t, err)
	dirs, err := filepath.Glob(filepath.Join(w.o.StateDir, "*", "flight"))
	require.NoError(t, err)
	require.Len(t, dirs, 1)
	require.NoError(t, os.RemoveAll(dirs[0]))
	require.NoError(t, os.WriteFile(dirs[0], nil, 0o600)) // nobody can have a turn
	_, err = h.Stop(context.Background(), 10*time.Second)
	require.NoError(t, err)
	require.False(t, h.Alive())
	require.NoError(t, os.Remove(dirs[0]))
	require.NoError(t, h.Close())
}
