package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkCold runs the command as a process of its own, beside a control: the
// start and end of a small static program. Quote ratios to the control; the
// machine's speed drifts. It needs a C compiler.
//
//	go test ./cmd/spawnward -run '^$' -bench Cold -benchtime 30x
func BenchmarkCold(b *testing.B) {
	dir := b.TempDir()
	run, err := os.MkdirTemp("/tmp", "sw")
	require.NoError(b, err)
	defer os.RemoveAll(run)
	command, backend := filepath.Join(dir, "spawnward"), filepath.Join(dir, "opt", "backend")
	require.NoError(b, os.Mkdir(filepath.Dir(backend), 0o755))
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", command, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(b, err, string(out))
	if out, err := exec.Command("cc", "-O2", "-static", "-o", backend, "testdata/bench/backend.c").CombinedOutput(); err != nil {
		b.Skipf("no static C program can be made: %v %s", err, out)
	}
	env := []string{"XDG_STATE_HOME=" + filepath.Join(dir, "state"), "XDG_RUNTIME_DIR=" + run, "HOME=" + dir}
	spawnward := func(b *testing.B, args ...string) {
		c := exec.Command(command, args...)
		c.Env = env
		out, err := c.CombinedOutput()
		require.NoError(b, err, string(out))
	}
	args := []string{"--probe", "peer", "--settle", "1ms", "--binary", backend, "--root", filepath.Dir(backend), "bench@1.0.0"}
	b.Run("control", func(b *testing.B) {
		for b.Loop() {
			require.NoError(b, exec.Command(backend, "end").Run())
		}
	})
	b.Run("version", func(b *testing.B) {
		for b.Loop() {
			spawnward(b, "version")
		}
	})
	b.Run("check", func(b *testing.B) {
		for b.Loop() {
			spawnward(b, append([]string{"check"}, args...)...)
		}
	})
	b.Run("launch", func(b *testing.B) {
		defer spawnward(b, "stop", "bench")
		for b.Loop() {
			spawnward(b, append([]string{"launch"}, args...)...)
			b.StopTimer()
			spawnward(b, "stop", "bench")
			b.StartTimer()
		}
	})
}
