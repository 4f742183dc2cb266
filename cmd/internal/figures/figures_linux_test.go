// Package figures measures what the README says about speed and cost, and
// prints it as tables:
//
//	go test ./cmd/internal/figures -figures -v -timeout 60m
//
// It needs a C compiler and, for the comparison, the module proxy. Every time
// stands beside a control of the same run, taken in turns with it, because
// machines drift; quote the ratios.
package figures

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var (
	measure = flag.Bool("figures", false, "measure, and print the tables")
	rounds  = flag.Int("rounds", 40, "how often each command is run")
	parts   = flag.String("parts", "cold,stages,compare,growth", "which tables are made")
)

func TestFigures(t *testing.T) {
	if !*measure {
		t.Skip("it measures for minutes; run: go test ./cmd/internal/figures -figures -v -timeout 60m")
	}
	b := newBench(t)
	print("%s\n\n", machine(t, b.dir))
	for _, part := range strings.Split(*parts, ",") {
		switch part {
		case "cold":
			b.cold()
		case "stages":
			b.stages()
		case "compare":
			b.compare()
		case "growth":
			b.growth()
		default:
			require.Fail(t, "there is no part "+part)
		}
	}
}

func print(format string, args ...any) {
	_, _ = fmt.Fprintf(os.Stdout, format, args...) // nobody else to tell
}

// bench is a directory with everything that is measured.
type bench struct {
	t       *testing.T
	dir     string
	short   string // where sockets stand, whose paths are short
	command string // spawnward as it is packaged: stripped, without C
	backend string // a static C program that listens at once
	env     []string
}

func newBench(t *testing.T) *bench {
	dir := t.TempDir()
	run, err := os.MkdirTemp("/tmp", "sw")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(run)) })
	b := &bench{t: t, dir: dir, short: run, command: filepath.Join(dir, "spawnward"), backend: filepath.Join(dir, "opt", "backend")}
	require.NoError(t, os.Mkdir(filepath.Dir(b.backend), 0o755))
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", b.command, "../../spawnward")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	b.must(build)
	b.must(exec.Command("cc", "-O2", "-static", "-o", b.backend, "testdata/backend.c"))
	b.must(exec.Command("cc", "-O2", "-static", "-o", filepath.Join(dir, "resident"), "testdata/resident.c"))
	b.env = []string{"XDG_STATE_HOME=" + filepath.Join(dir, "state"), "XDG_RUNTIME_DIR=" + run, "HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	return b
}

func (b *bench) must(c *exec.Cmd) {
	b.t.Helper()
	out, err := c.CombinedOutput()
	require.NoError(b.t, err, "%v: %s", c.Args, out)
}

func (b *bench) spawnward(args ...string) *exec.Cmd {
	c := exec.Command(b.command, args...)
	c.Env = b.env
	return c
}

// run times one command, which must succeed.
func (b *bench) run(c *exec.Cmd) time.Duration {
	b.t.Helper()
	var out strings.Builder
	c.Stdout, c.Stderr = &out, &out
	begin := time.Now()
	err := c.Run()
	took := time.Since(begin)
	require.NoError(b.t, err, "%v: %s", c.Args, out.String())
	return took
}

// sample is one thing to time; after is not timed.
type sample struct {
	name  string
	do    func() time.Duration
	after func()
}

// inTurns takes each sample n times, one after the other, so that all of them
// see the same weather, and gives the median of each.
func inTurns(n int, samples []sample) map[string]time.Duration {
	all := map[string][]time.Duration{}
	for i := range n + 1 {
		for _, s := range samples {
			took := s.do()
			if s.after != nil {
				s.after()
			}
			if i > 0 { // the first round fills caches
				all[s.name] = append(all[s.name], took)
			}
		}
	}
	out := map[string]time.Duration{}
	for name, list := range all {
		out[name] = median(list)
	}
	return out
}

func median[T cmp.Ordered](list []T) T {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}

func TestMedian(t *testing.T) {
	require.Equal(t, 3, median([]int{9, 1, 3}))
	require.Equal(t, 4, median([]int{1, 4, 2, 9}))
}

// machine says what was measured on.
func machine(t *testing.T, dir string) string {
	var u unix.Utsname
	require.NoError(t, unix.Uname(&u))
	var fs unix.Statfs_t
	require.NoError(t, unix.Statfs(dir, &fs))
	model := "unknown processor"
	data, err := os.ReadFile("/proc/cpuinfo")
	require.NoError(t, err)
	for line := range strings.Lines(string(data)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
		}
	}
	return fmt.Sprintf("%d × %s, Linux %s, %s, file system %#x", runtime.NumCPU(), model, unix.ByteSliceToString(u.Release[:]), runtime.Version(), fs.Type)
}

func micro(d time.Duration) string {
	switch {
	case d >= 100*time.Millisecond:
		return fmt.Sprintf("%.0f ms", float64(d)/1e6)
	case d >= time.Millisecond:
		return fmt.Sprintf("%.2f ms", float64(d)/1e6)
	}
	return fmt.Sprintf("%.1f µs", float64(d)/1e3)
}

// table prints a Markdown table.
func table(title string, head []string, rows [][]string) {
	print("### %s\n\n| %s |\n|%s\n", title, strings.Join(head, " | "), strings.Repeat("---|", len(head)))
	for _, r := range rows {
		print("| %s |\n", strings.Join(r, " | "))
	}
	print("\n")
}
