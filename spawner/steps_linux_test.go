//go:build amd64 || arm64

package spawner_test

import (
	"context"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner"
	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/service"
)

// stepMeter measures one step of every launch: what it took, by the launch's own
// clock, and what it allocated since the step before.
type stepMeter struct {
	step   spawner.Step
	before runtime.MemStats
	took   []time.Duration
	allocs uint64
	bytes  uint64
}

func (m *stepMeter) begin() { runtime.ReadMemStats(&m.before) }

func (m *stepMeter) Observe(_ context.Context, e spawner.Event) {
	if e.Step == m.step {
		var now runtime.MemStats
		runtime.ReadMemStats(&now)
		m.took = append(m.took, e.Took)
		m.allocs += now.Mallocs - m.before.Mallocs
		m.bytes += now.TotalAlloc - m.before.TotalAlloc
	}
	m.begin()
}

func (m *stepMeter) report(b *testing.B) {
	slices.Sort(m.took)
	n := float64(len(m.took))
	b.ReportMetric(float64(m.took[len(m.took)/2].Nanoseconds()), "ns/op")
	b.ReportMetric(float64(m.allocs)/n, "allocs/op")
	b.ReportMetric(float64(m.bytes)/n, "B/op")
}

// BenchmarkStep launches a static program of 512 bytes that listens at once, and
// gives the median of one step. Policy is a few lines of Go here: package policy
// measures its own decisions.
func BenchmarkStep(b *testing.B) {
	for _, step := range []spawner.Step{
		spawner.Resolve, spawner.Measure, spawner.Decide, spawner.Queue, spawner.Reuse, spawner.Shape,
		spawner.Log, spawner.Intend, spawner.Spawn, spawner.Verify, spawner.Probe, spawner.Record,
	} {
		b.Run(string(step), func(b *testing.B) {
			m := &stepMeter{step: step}
			a := newArena(b, b.TempDir(), 0)
			run, err := os.MkdirTemp("/tmp", "sw")
			require.NoError(b, err)
			defer os.RemoveAll(run)
			l, err := spawner.New(spawner.Options{
				Decider: demanding(admission.Verified), StateDir: b.TempDir(), RuntimeDir: run, UserHash: "0123456789abcdef", Observer: m,
			})
			require.NoError(b, err)
			for b.Loop() {
				m.begin()
				h, err := l.Launch(context.Background(), spawner.Request{
					Service: "app", Version: "1.2.3", Override: spawner.Override{Settle: time.Nanosecond},
					Definition: &service.Loaded{Source: service.SourceLibrary, Definition: a.definition("opt")},
				})
				require.NoError(b, err)
				require.NoError(b, h.Kill(context.Background()))
				require.NoError(b, h.Close())
			}
			m.report(b)
		})
	}
}
