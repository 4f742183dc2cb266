package figures

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkLaunch launches a small C program with the embedded policy, to the
// verified handle: by a program that uses the library, and by the command, whose
// allocations nobody sees from outside.
func BenchmarkLaunch(b *testing.B) {
	w := newBench(b)
	b.Run("library", func(b *testing.B) {
		l, err := host(filepath.Join(w.dir, "bench"), w.short, nil)
		require.NoError(b, err)
		req, err := asked(w.backend, "bench")
		require.NoError(b, err)
		b.ReportAllocs()
		for b.Loop() {
			h, err := l.Launch(context.Background(), req)
			b.StopTimer()
			require.NoError(b, err)
			require.NoError(b, h.Kill(context.Background()))
			require.NoError(b, h.Close())
			b.StartTimer()
		}
	})
	b.Run("command", func(b *testing.B) {
		for b.Loop() {
			w.run(w.spawnward(w.flags("launch")...))
			b.StopTimer()
			w.run(w.spawnward("stop", "bench"))
			b.StartTimer()
		}
	})
}

// BenchmarkCommand runs commands that start nothing.
func BenchmarkCommand(b *testing.B) {
	w := newBench(b)
	for name, args := range map[string][]string{"version": {"version"}, "check": w.flags("check")} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				w.run(w.spawnward(args...))
			}
		})
	}
}
