package spawner_test

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner"
	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/service"
)

// BenchmarkRelease shows what lies between a decision and the released child,
// step by step, beside a plain fork and exec of the same program by os/exec: log
// and intend are the disk's, spawn and verify this project's.
func BenchmarkRelease(b *testing.B) {
	a := newArena(b, b.TempDir(), 0)
	run, err := os.MkdirTemp("/tmp", "sw")
	require.NoError(b, err)
	defer os.RemoveAll(run)
	l, err := spawner.New(spawner.Options{Decider: demanding(admission.Verified), StateDir: b.TempDir(), RuntimeDir: run, UserHash: "0123456789abcdef"})
	require.NoError(b, err)
	took := map[string][]int64{}
	for b.Loop() {
		began := time.Now()
		cmd := exec.Command(a.binary)
		require.NoError(b, cmd.Start())
		took["os/exec"] = append(took["os/exec"], time.Since(began).Microseconds())
		require.NoError(b, cmd.Wait())

		h, err := l.Launch(context.Background(), spawner.Request{
			Service: "app", Version: "1.2.3", Override: spawner.Override{Settle: time.Millisecond},
			Definition: &service.Loaded{Source: service.SourceLibrary, Definition: a.definition("opt")},
		})
		require.NoError(b, err)
		t := h.Report().Timings
		for name, us := range map[string]int64{"log": t.Log, "intend": t.Intend, "spawn": t.Spawn, "verify": t.Verify} {
			took[name] = append(took[name], us)
		}
		_, err = h.Stop(context.Background(), time.Second)
		require.NoError(b, err)
		require.NoError(b, h.Close())
	}
	for name, us := range took {
		slices.Sort(us)
		b.ReportMetric(float64(us[len(us)/2]), "µs/"+name)
	}
}
