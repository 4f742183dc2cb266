package spawner_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner"
	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/confine"
	"github.com/spawnward/spawnward/spawner/service"
)

// obliging is a policy that asks for confinement.
func obliging(c admission.Confine) decider {
	return decider{change: func(d *admission.Decision) { d.Obligations.Confine = c }}
}

// status reads some lines of /proc/pid/status.
func status(t *testing.T, pid int, names ...string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	out := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, _ := strings.Cut(line, ":"); slices.Contains(names, name) {
			out[name] = strings.TrimSpace(value)
		}
	}
	return out
}

// TestConfinedBeforeItsFirstInstruction: policy and definition each ask for a
// part, and all of it is there while the process is held.
func TestConfinedBeforeItsFirstInstruction(t *testing.T) {
	w := newWorld(t)
	nice, less, score := 3, -5, 250
	asks := admission.Confine{
		Umask: "0027", Nice: &nice, Limits: admission.Limits{"nofile": {Soft: 200, Hard: 300}},
		DropCaps: admission.DropCaps{Names: []string{"CAP_SYS_ADMIN"}},
	}
	reads := []string{"/proc", "/sys", "/etc", w.root}
	landlock := slices.Contains(confine.Available(true), "landlock")
	if landlock {
		asks.Landlock = &admission.Landlock{Read: reads, Write: []string{filepath.Dir(w.pids)}}
	}
	w.o.Decider = obliging(asks)
	held := false
	w.observe = func(e spawner.Event) {
		if e.Step != spawner.Spawn {
			return
		}
		held = true
		require.NoFileExists(t, w.pids, "it has not begun")
		require.Equal(t, map[string]string{"NoNewPrivs": "1", "Umask": "0077", "CapEff": "0000000000000000", "CapPrm": "0000000000000000"},
			status(t, e.PID, "NoNewPrivs", "Umask", "CapEff", "CapPrm"))
		var files unix.Rlimit
		require.NoError(t, unix.Prlimit(e.PID, unix.RLIMIT_NOFILE, nil, &files))
		require.Equal(t, unix.Rlimit{Cur: 100, Max: 100}, files)
		raw, err := unix.Getpriority(unix.PRIO_PROCESS, e.PID)
		require.NoError(t, err)
		require.Equal(t, nice, 20-raw)
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", e.PID))
		require.NoError(t, err)
		require.Equal(t, "250\n", string(text))
	}
	h, err := w.local().Launch(context.Background(), w.request("good", func(d *service.Definition) {
		d.Launch.Confine = service.Confine{
			NoNewPrivs: true, Umask: "0057", Nice: &less, OOMScoreAdj: &score, DropCaps: service.DropCaps{All: true},
			Limits: map[string]service.Limit{"nofile": {Soft: 100, Hard: 100}},
		}
		if landlock {
			d.Launch.Confine.Landlock = &service.Landlock{Read: reads, Write: []string{"/"}}
		}
	}))
	require.NoError(t, err)
	require.True(t, held)
	require.FileExists(t, w.pids)
	plan := h.Report().Confine
	require.Equal(t, "0077", plan.Umask)
	if landlock {
		require.Len(t, plan.Landlock, 2)
		require.Contains(t, plan.Landlock[0].Write, filepath.Dir(h.Identity().Endpoint.Path))
	}
	require.Equal(t, "0", status(t, os.Getpid(), "NoNewPrivs")["NoNewPrivs"])
	stop(t, h)
	w.clean(t)
}

func TestConfinementThatCannotBeHad(t *testing.T) {
	many := admission.Limit{Soft: 1 << 60, Hard: 1 << 60}
	for name, c := range map[string]struct {
		asks  admission.Confine
		want  string
		check bool // it is known before anything is started
	}{
		"group": {admission.Confine{Cgroup: "not/there"}, "cgroup: ", true},
		"path":  {admission.Confine{Landlock: &admission.Landlock{Read: []string{"/not/there"}}}, "landlock: ", true},
		"limit": {admission.Confine{Limits: admission.Limits{"nofile": many}}, "limits.nofile: ", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.o.Decider = obliging(c.asks)
			_, err := w.local().Launch(context.Background(), w.request("good", nil))
			requireSpawnError(t, err, code.ConfinementUnavail)
			require.ErrorContains(t, err, c.want)
			require.NoFileExists(t, w.pids)
			w.clean(t)

			r, err := w.local().Check(context.Background(), w.request("good", nil))
			require.NoError(t, err)
			if c.check {
				require.Equal(t, code.ConfinementUnavail, r.Error.Code)
			} else {
				require.Nil(t, r.Error)
			}
			require.NotNil(t, r.Confine)
		})
	}
}

// A set-id program cannot be held, because it would lose what its bits give it.
func TestConfinementThatNeedsAStop(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, os.Chmod(w.binary, 0o755|os.ModeSetgid))
	w.o.Decider = decider{change: func(d *admission.Decision) {
		d.Obligations.Binding = admission.Leased
		d.Obligations.Confine.Limits = admission.Limits{"nofile": {Soft: 100, Hard: 100}}
	}}
	_, err := w.local().Launch(context.Background(), w.request("good", nil))
	requireSpawnError(t, err, code.ConfinementUnavail)
	require.True(t, errors.Is(err, confine.ErrNoStop), "%v", err)
	w.clean(t)
}
