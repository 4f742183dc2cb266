package spawner_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner"
	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
)

func demanding(b admission.Binding) decider {
	return decider{binding: b, sealed: 1 << 30, change: func(d *admission.Decision) { d.Obligations.Binding = b }}
}

// The strongest binding that file and machine allow is used, whatever weaker
// one policy would accept, and what is reported is what was had.
func TestStrongestBindingIsUsedAndReported(t *testing.T) {
	w := newWorld(t)
	for _, want := range []admission.Binding{admission.Pinned, admission.Leased, admission.Verified} {
		w.o.Decider = demanding(want)
		h, err := w.local().Launch(context.Background(), w.request("good", nil))
		require.NoError(t, err)
		require.Equal(t, admission.Verified, h.Binding())
		require.Equal(t, admission.Verified, h.Report().Binding)
		require.Equal(t, []admission.Binding{admission.Pinned, admission.Leased, admission.Verified, admission.Sealed}, h.Report().Input.Launcher.Bindings)
		// Writers do not wait any longer; the kernel refuses them.
		_, err = unix.Open(w.binary, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		require.ErrorIs(t, err, unix.ETXTBSY)
		stop(t, h)
		w.clean(t)
	}
}

func requireSpawnError(t *testing.T, err error, want code.Code) {
	t.Helper()
	var se *spawner.SpawnError
	require.ErrorAs(t, err, &se)
	require.Equal(t, want, se.Code(), err)
}

// A file that raises privileges would silently lose them in the stop.
func TestSetIDNeedsLeased(t *testing.T) {
	w := newWorld(t)
	f, err := os.OpenFile(w.binary, os.O_RDONLY, 0)
	require.NoError(t, err)
	require.NoError(t, f.Chmod(0o755|os.ModeSetgid))
	require.NoError(t, f.Close())
	w.o.Decider = demanding(admission.Verified)
	_, err = w.local().Launch(context.Background(), w.request("good", nil))
	requireSpawnError(t, err, code.SetidNeedsLeased)
	w.clean(t)
	w.o.Decider = demanding(admission.Leased)
	h, err := w.local().Launch(context.Background(), w.request("good", nil))
	require.NoError(t, err)
	require.Equal(t, admission.Leased, h.Binding())
	stop(t, h)
	w.clean(t)
}

// A file that somebody has open for writing has no lease and no binding.
func TestOpenWriterIsNamed(t *testing.T) {
	w := newWorld(t)
	f, err := os.OpenFile(w.binary, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	w.o.Decider = demanding(admission.Leased)
	_, err = w.local().Launch(context.Background(), w.request("good", nil))
	requireSpawnError(t, err, code.BindingUnavailable)
	require.ErrorContains(t, err, "open for writing")
	w.clean(t)
}

// A record of a stopped process is on disk before it may run, and a writer that
// comes in the stop ends it.
func TestWriterInTheStop(t *testing.T) {
	for _, at := range []spawner.Step{spawner.Measure, spawner.Decide, spawner.Intend} {
		t.Run(string(at), func(t *testing.T) {
			w := newWorld(t)
			w.observe = func(e spawner.Event) {
				if e.Step == at {
					_, err := unix.Open(w.binary, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
					require.ErrorIs(t, err, unix.EWOULDBLOCK)
				}
			}
			_, err := w.local().Launch(context.Background(), w.request("good", nil))
			var ie *spawner.IdentityError
			require.ErrorAs(t, err, &ie)
			require.Equal(t, code.BindingMismatch, ie.Code())
			require.NoFileExists(t, w.pids)
			w.clean(t)
		})
	}
}

func TestRecordIsDurableBeforeTheFirstInstruction(t *testing.T) {
	w := newWorld(t)
	seen := false
	w.observe = func(e spawner.Event) {
		if e.Step != spawner.Spawn {
			return
		}
		records, err := filepath.Glob(filepath.Join(w.o.StateDir, "*", "backends", "*.json"))
		require.NoError(t, err)
		require.Len(t, records, 1)
		data, err := os.ReadFile(records[0])
		require.NoError(t, err)
		require.Contains(t, string(data), `"phase":"starting"`)
		_, err = os.Stat(w.pids)
		require.True(t, errors.Is(err, os.ErrNotExist), "it has not run")
		seen = true
	}
	h, err := w.local().Launch(context.Background(), w.request("good", nil))
	require.NoError(t, err)
	require.True(t, seen)
	stop(t, h)
	w.clean(t)
}
