package figures

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// bench is a directory with everything that is measured.
type bench struct {
	t       testing.TB
	report  *report
	dir     string
	short   string // where sockets stand, whose paths are short
	command string // spawnward as it is packaged: stripped, without C
	backend string // a static C program that listens at once
	env     []string
	said    *os.File // by the last command
}

func newBench(t testing.TB) *bench {
	dir := t.TempDir()
	run, err := os.MkdirTemp("/tmp", "sw")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(run)) })
	b := &bench{t: t, report: &report{bars: bars()}, dir: dir, short: run, command: filepath.Join(dir, "spawnward"), backend: filepath.Join(dir, "opt", "backend")}
	require.NoError(t, os.Mkdir(filepath.Dir(b.backend), 0o755))
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", b.command, "../../spawnward")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	b.must(build)
	b.must(exec.Command("cc", "-O2", "-static", "-o", b.backend, "testdata/backend.c"))
	b.must(exec.Command("cc", "-O2", "-static", "-o", filepath.Join(dir, "resident"), "testdata/resident.c"))
	b.env = []string{"XDG_STATE_HOME=" + filepath.Join(dir, "state"), "XDG_RUNTIME_DIR=" + run, "HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	b.said, err = os.OpenFile(filepath.Join(dir, "said"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.said.Close()) })
	aged()
	return b
}

// aged lets the files that were just written become old enough for the digest
// cache, which keeps none of a file that is younger than a second.
func aged() { <-time.After(1100 * time.Millisecond) }

func (b *bench) must(c *exec.Cmd) string {
	b.t.Helper()
	out, err := c.CombinedOutput()
	require.NoError(b.t, err, "%v: %s", c.Args, out)
	return string(out)
}

func (b *bench) spawnward(args ...string) *exec.Cmd {
	c := exec.Command(b.command, args...)
	c.Env = b.env
	return c
}

// run times one command, which must succeed. It writes to a file: to read from a
// pipe takes this process as long as the control runs.
func (b *bench) run(c *exec.Cmd) time.Duration {
	b.t.Helper()
	require.NoError(b.t, b.said.Truncate(0))
	c.Stdout, c.Stderr = b.said, b.said
	begin := time.Now()
	err := c.Run()
	took := time.Since(begin)
	if err != nil {
		text, _ := os.ReadFile(b.said.Name())
		require.NoError(b.t, err, "%v: %s", c.Args, text)
	}
	return took
}

func (b *bench) took(args ...string) func() time.Duration {
	return func() time.Duration { return b.run(b.spawnward(args...)) }
}

// control is what every time stands beside.
func (b *bench) control() sample {
	return sample{"control", func() time.Duration { return b.run(exec.Command(b.backend, "end")) }, nil}
}

// flags are a command about the C program, without a definition.
func (b *bench) flags(command string, more ...string) []string {
	args := []string{command, "--probe", "peer", "--settle", "1ns", "--root", filepath.Dir(b.backend), "--binary", b.backend}
	return append(append(args, more...), "bench@1.0.0")
}

// resident is the most memory that a command kept, in MiB.
func (b *bench) resident(args ...string) float64 {
	out := filepath.Join(b.dir, "resident.out")
	c := b.spawnward(append([]string{out, b.command}, args...)...)
	c.Path = filepath.Join(b.dir, "resident")
	b.run(c)
	return b.kept(out)
}

// kept reads what the program resident wrote.
func (b *bench) kept(file string) float64 {
	data, err := os.ReadFile(file)
	require.NoError(b.t, err)
	kib, err := strconv.Atoi(strings.TrimSpace(string(data)))
	require.NoError(b.t, err)
	return float64(kib) / 1024
}
