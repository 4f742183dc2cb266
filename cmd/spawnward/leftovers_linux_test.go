package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner"
	"github.com/spawnward/spawnward/spawner/process"
)

func (b *bench) launch(part ...string) spawner.Report {
	b.t.Helper()
	binary, root := b.backend()
	args := append([]string{"launch", "-o", "json", "--binary", binary, "--root", root, "app@1.0.0", "--", "scripted-backend"}, part...)
	var r spawner.Report
	require.NoError(b.t, json.Unmarshal(b.ok(args...), &r))
	return r
}

func waitEnded(t *testing.T, pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		st, err := process.ReadStat(pid)
		return err != nil || st.State == 'Z'
	}, 20*time.Second, time.Millisecond)
}

// TestStopEndsWhatALeaderLeft kills a backend's process and leaves its child.
func TestStopEndsWhatALeaderLeft(t *testing.T) {
	b := newBench(t)
	r := b.launch("leave-child")
	require.NoError(t, syscall.Kill(r.Identity.PID, syscall.SIGKILL))
	waitEnded(t, r.Identity.PID)
	left, err := process.ReadStat(r.Identity.PID)
	if !errors.Is(err, process.ErrGone) {
		require.NoError(t, err)
		require.EqualValues(t, 'Z', left.State)
	}
	require.Contains(t, string(b.ok("stop", "app")), "cleaned up after")
	requireNoSession(t, r.Identity.PID)
	b.empty()
}

// TestStopOfASquattedEndpoint replaces the socket of a live backend by a file:
// the backend is still certainly ours, and stop ends it.
func TestStopOfASquattedEndpoint(t *testing.T) {
	b := newBench(t)
	r := b.launch("good")
	require.NoError(t, os.Remove(r.Identity.Endpoint.Path))
	require.NoError(t, os.WriteFile(r.Identity.Endpoint.Path, nil, 0o600))
	require.Contains(t, string(b.ok("ps")), "unresponsive")
	require.Contains(t, string(b.ok("stop", "app")), "stopped app@1.0.0")
	waitEnded(t, r.Identity.PID)
	b.empty()
}

// TestHandleThatCannotBeTold gives the command an output that is full.
func TestHandleThatCannotBeTold(t *testing.T) {
	b := newBench(t)
	binary, root := b.backend()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	require.NoError(t, err)
	defer full.Close()
	c := b.cmd("launch", "--binary", binary, "--root", root, "app@1.0.0", "--", "scripted-backend", "good")
	var stderr strings.Builder
	c.Stdout, c.Stderr = full, &stderr
	var exit *exec.ExitError
	require.ErrorAs(t, c.Run(), &exit)
	require.Equal(t, 1, exit.ExitCode())
	require.Contains(t, stderr.String(), "output_failed")
	b.empty()
	require.Contains(t, string(b.ok("ps")), "no recorded backends")
}

// TestDemoWhoseReaderLeaves closes the pipe after the first line.
func TestDemoWhoseReaderLeaves(t *testing.T) {
	b := newBench(t)
	tmp := t.TempDir()
	c := b.cmd("demo")
	c.Env = append(c.Env, "TMPDIR="+tmp)
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	_, err = bufio.NewReaderSize(out, 16).ReadString('\n')
	require.NoError(t, err)
	require.NoError(t, out.Close())
	_ = c.Wait() // small outputs may fit before the pipe is closed
	names, err := os.ReadDir(tmp)
	require.NoError(t, err)
	require.Empty(t, names)
	b.emptyRun()
}

// TestLookingMakesNothing runs ps, probe and stop where nothing was ever
// launched.
func TestLookingMakesNothing(t *testing.T) {
	b := newBench(t)
	b.ok("ps")
	b.ok("stop", "app")
	require.Error(t, b.cmd("probe", "app").Run())
	require.NoDirExists(t, filepath.Join(b.state, "spawnward"))
}
