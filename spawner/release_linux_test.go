//go:build amd64 || arm64

package spawner_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner"
	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/service"
)

// BenchmarkRelease shows what lies between a decision and the released child, its
// line in the log synced, beside the two things that nobody can do without: a fork
// and exec of the same program by os/exec, and a line of the same length appended
// to a file and synced (fdatasync). All values are medians in microseconds; all is
// from the end of the decision to the release.
func BenchmarkRelease(b *testing.B) {
	a := newArena(b, b.TempDir(), 0)
	run, err := os.MkdirTemp("/tmp", "sw")
	require.NoError(b, err)
	defer os.RemoveAll(run)
	state := b.TempDir()
	l, err := spawner.New(spawner.Options{Decider: demanding(admission.Verified), StateDir: state, RuntimeDir: run, UserHash: "0123456789abcdef"})
	require.NoError(b, err)
	took := map[string][]int64{}
	note := func(name string, us int64) { took[name] = append(took[name], us) }
	line := bytes.Repeat([]byte("x"), 4<<10)
	file, err := os.Create(filepath.Join(state, "control"))
	require.NoError(b, err)
	defer file.Close()
	for b.Loop() {
		began := time.Now()
		cmd := exec.Command(a.binary)
		require.NoError(b, cmd.Start())
		note("os/exec", time.Since(began).Microseconds())
		require.NoError(b, cmd.Wait())
		began = time.Now()
		_, err := file.Write(line)
		require.NoError(b, err)
		require.NoError(b, unix.Fdatasync(int(file.Fd())))
		note("sync", time.Since(began).Microseconds())

		h, err := l.Launch(context.Background(), spawner.Request{
			Service: "app", Version: "1.2.3", Override: spawner.Override{Settle: time.Millisecond},
			Definition: &service.Loaded{Source: service.SourceLibrary, Definition: a.definition("opt")},
		})
		require.NoError(b, err)
		t := h.Report().Timings
		note("all", t.Queue+t.Reuse+t.Shape+t.Log+t.Intend+t.Spawn+t.Verify)
		for name, us := range map[string]int64{"queue": t.Queue + t.Reuse, "log": t.Log, "intend": t.Intend, "spawn": t.Spawn, "verify": t.Verify} {
			note(name, us)
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
