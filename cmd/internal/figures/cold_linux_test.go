package figures

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/stretchr/testify/require"
)

// cold is whole commands, from their start to their end.
func (b *bench) cold() {
	site := b.siteWithDigests(100_000)
	flags := []string{"--probe", "peer", "--settle", "1ns", "--binary", b.backend, "--root", filepath.Dir(b.backend), "bench@1.0.0"}
	command := func(args ...string) func() time.Duration {
		return func() time.Duration { return b.run(b.spawnward(args...)) }
	}
	stop := func() { b.run(b.spawnward("stop", "bench")) }
	samples := []sample{
		{"control: a static C program starts and ends", func() time.Duration { return b.run(exec.Command(b.backend, "end")) }, nil},
		{"`spawnward version`", command("version"), nil},
		{"`spawnward check`", command(append([]string{"check"}, flags...)...), nil},
		{"`spawnward check`, 100 000 digests listed", command(append([]string{"check", "--policy", site}, flags...)...), nil},
		{"`spawnward launch` to the verified handle, digest cached", command(append([]string{"launch"}, flags...)...), stop},
		{"`spawnward launch` that finds a live backend", func() time.Duration {
			b.run(b.spawnward(append([]string{"launch"}, flags...)...))
			return b.run(b.spawnward(append([]string{"launch"}, flags...)...))
		}, stop},
	}
	took := inTurns(*rounds, samples)
	control := took[samples[0].name]
	var rows [][]string
	for _, s := range samples {
		rows = append(rows, []string{s.name, micro(took[s.name]), fmt.Sprintf("%.1f", float64(took[s.name])/float64(control))})
	}
	table("Whole commands, cold", []string{"command", "median", "to the control"}, rows)
	size, err := os.Stat(b.command)
	require.NoError(b.t, err)
	print("The stripped command has %.1f MiB; `check` keeps %.1f MiB resident.\n\n", float64(size.Size())/(1<<20), b.resident(append([]string{"check"}, flags...)...))
}

// siteWithDigests makes a site that lists n digests beside that of the backend.
func (b *bench) siteWithDigests(n int) string {
	dir := filepath.Join(b.dir, fmt.Sprintf("site%d", n))
	require.NoError(b.t, os.MkdirAll(dir, 0o755))
	allow := map[string]any{}
	for i := range n {
		allow[fmt.Sprintf("%064x", i+1)] = map[string]any{}
	}
	allow[b.digest()] = map[string]any{}
	data, err := json.Marshal(map[string]any{"config": map[string]any{"defaults": map[string]any{
		"digests": map[string]any{"require_listed": true, "allow": allow},
	}}})
	require.NoError(b.t, err)
	require.NoError(b.t, os.WriteFile(filepath.Join(dir, "data.json"), data, 0o644))
	manifest := `{"roots": ["site", "config", "waivers", "catalog"]}`
	require.NoError(b.t, os.WriteFile(filepath.Join(dir, ".manifest"), []byte(manifest), 0o644))
	return dir
}
