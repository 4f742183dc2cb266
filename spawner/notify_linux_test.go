package spawner_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner"
	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/probe"
	"github.com/spawnward/spawnward/spawner/service"
)

func notifying(d *service.Definition) { d.Launch.Probe = service.ProbeNotify }

func TestBackendsThatNotify(t *testing.T) {
	for part, status := range map[string]string{
		"notify": "serving", "notify-late:300ms": "", "notify-flood": "step 1999", "notify-barrier": "",
	} {
		t.Run(part, func(t *testing.T) {
			w := newWorld(t)
			l := w.local()
			h, err := l.Launch(t.Context(), w.request(part, notifying))
			require.NoError(t, err)
			require.Equal(t, status, h.Report().Status)
			require.Empty(t, h.Identity().Endpoint.Path)
			i := slices.IndexFunc(h.Report().Input.Env, func(v admission.EnvVar) bool { return v.Name == probe.EnvNotifySocket })
			require.Equal(t, "contract", h.Report().Input.Env[i].Origin)
			require.NoFileExists(t, h.Report().Input.Env[i].Value, "nobody reads it any more")
			_, err = h.Connect(t.Context())
			require.ErrorIs(t, err, spawner.ErrNoEndpoint)
			all, err := l.List(t.Context(), "", "")
			require.NoError(t, err)
			require.Len(t, all, 1)
			require.Equal(t, spawner.Live, all[0].State, all[0].Why)
			again, err := l.Verify(t.Context(), all[0])
			require.NoError(t, err)
			require.NoError(t, again.Close())
			stop(t, h)
			w.clean(t)
		})
	}
}

// A backend that notifies has an endpoint when its definition says what to do
// with it, and is then proven as a peer too.
func TestNotifyWithAnEndpoint(t *testing.T) {
	w := newWorld(t)
	l := w.local()
	h, err := l.Launch(t.Context(), w.request("notify-listen", func(d *service.Definition) {
		notifying(d)
		d.Launch.Args = append(d.Launch.Args, "--endpoint=${endpoint}")
	}))
	require.NoError(t, err)
	conn, err := h.Connect(t.Context())
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	// With its socket gone it is ours, alive, and does not answer.
	require.NoError(t, os.Remove(h.Identity().Endpoint.Path))
	all, err := l.List(t.Context(), "", "")
	require.NoError(t, err)
	require.Equal(t, spawner.Unresponsive, all[0].State)
	stop(t, h)
	w.clean(t)
}

func TestBadNotifications(t *testing.T) {
	for part, want := range map[string]struct {
		code code.Code
		says []string
	}{
		"never":            {code.ReadyTimeout, []string{"READY=1"}},
		"exit:3":           {code.ExitedEarly, []string{"exit status 3"}},
		"notify-errno:98":  {code.BackendFailed, []string{"address already in use", "ERRNO=98", `"cannot bind"`}},
		"notify-oversize":  {code.ReadyTimeout, []string{"1 messages were too long or none"}},
		"notify-mainpid":   {code.BackendForkedAway, []string{"process 1"}},
		"notify-other":     {code.ReadyTimeout, []string{"1 messages of other processes were ignored", "itself"}},
		"good":             {code.ReadyTimeout, nil}, // listens, and says nothing
		"notify-late:20s":  {code.ReadyTimeout, nil},
		"die-during-probe": {code.ReadyTimeout, nil},
	} {
		t.Run(part, func(t *testing.T) {
			w := newWorld(t)
			_, err := w.local().Launch(t.Context(), w.request(part, func(d *service.Definition) {
				notifying(d)
				d.Launch.ReadyTimeout = 500 * time.Millisecond
				if want.code != code.ReadyTimeout {
					d.Launch.ReadyTimeout = service.MaxReadyTimeout
				}
			}))
			var pe *spawner.ProbeError
			require.ErrorAs(t, err, &pe)
			require.Equal(t, want.code, pe.Code(), err)
			for _, s := range want.says {
				require.Contains(t, err.Error(), s)
			}
			require.Equal(t, want.code == code.BackendFailed, errors.Is(err, syscall.EADDRINUSE))
			w.clean(t)
		})
	}
}

// The socket stands only in the directory of the user, and a launch that cannot
// make it fails with nothing left.
func TestNotifySocketIsPrivate(t *testing.T) {
	w := newWorld(t)
	var seen bool
	w.observe = func(e spawner.Event) {
		if e.Step != spawner.Spawn {
			return
		}
		var found []string
		_ = filepath.WalkDir(w.o.RuntimeDir, func(path string, d os.DirEntry, _ error) error {
			if d.Type() == os.ModeSocket && strings.Contains(path, "-nt-") {
				found = append(found, path)
			}
			return nil
		})
		if len(found) != 1 {
			return
		}
		st, err := os.Stat(filepath.Dir(found[0]))
		seen = err == nil && st.Mode().Perm()&0o077 == 0
	}
	h, err := w.local().Launch(t.Context(), w.request("notify", notifying))
	require.NoError(t, err)
	require.True(t, seen)
	stop(t, h)
	w.clean(t)
}

func TestNotifyHonoursItsContext(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.observe = func(e spawner.Event) {
		if e.Step == spawner.Verify {
			cancel()
		}
	}
	_, err := w.local().Launch(ctx, w.request("notify", notifying))
	require.ErrorIs(t, err, context.Canceled)
	w.clean(t)
}
