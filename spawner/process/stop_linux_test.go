package process_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/process"
)

func statusOf(t *testing.T, pid int) map[string]string {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	out := map[string]string{}
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(line, ":")
		out[name] = strings.TrimSpace(value)
	}
	return out
}

func TestCanStop(t *testing.T) {
	before, err := process.Children()
	require.NoError(t, err)
	require.NoError(t, process.CanStop())
	after, err := process.Children()
	require.NoError(t, err)
	require.Equal(t, before, after)
}

// What is held at its exec is there under its final image and has not run.
func TestStoppedThenReleasedIsAsNeverStopped(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	p, to := start(t, "report", func(s *process.Spec) { s.Stop = true })
	st, err := process.ReadStat(p.PID())
	require.NoError(t, err)
	require.Equal(t, "t", string(st.State))
	require.Equal(t, p.PID(), st.Session)
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", p.PID()))
	require.NoError(t, err)
	require.Equal(t, self, exe)
	require.NoFileExists(t, to)
	require.True(t, p.Alive())
	_, known := p.Exit()
	require.False(t, known, "a stop is no end")

	require.NoError(t, p.Release())
	require.NoError(t, p.Release(), "twice is nothing")
	require.Equal(t, process.Exit{}, ended(t, p))
	data, err := os.ReadFile(to)
	require.NoError(t, err)
	var c child
	require.NoError(t, json.Unmarshal(data, &c))
	require.Equal(t, []string{"/srv/a-backend", "one", ""}, c.Argv)
	require.Equal(t, "a-backend", c.Comm)
	require.Equal(t, "/", c.Dir)
	require.Equal(t, map[string]string{"0": "/dev/null", "1": "/dev/null", "2": "/dev/null"}, c.FDs)
	require.Equal(t, p.PID(), c.Session)
}

// sleep(1) has no runtime that would hide what was left in it.
func TestReleasedCarriesNoTrace(t *testing.T) {
	f, err := os.Open("/bin/sleep")
	require.NoError(t, err)
	defer f.Close()
	for _, stop := range []bool{false, true} {
		p, err := process.Start(process.Spec{File: f, Name: "sleep", LinkDir: t.TempDir(), Dir: "/", Argv: []string{"sleep", "1000"}, Stop: stop})
		require.NoError(t, err)
		require.NoError(t, p.Release())
		// Sleeping: it is past everything that could have stopped it.
		require.Eventually(t, func() bool {
			st, err := process.ReadStat(p.PID())
			return err == nil && st.State == 'S'
		}, 20*time.Second, time.Millisecond)
		s := statusOf(t, p.PID())
		require.Equal(t, "0", s["TracerPid"])
		for _, name := range []string{"SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt"} {
			require.Equal(t, strings.Repeat("0", 16), s[name], name)
		}
		require.NoError(t, process.Family{Leader: p}.End(context.Background()))
		require.NoError(t, p.Close())
	}
}

func TestStoppedIsEndedUnlessReleased(t *testing.T) {
	before, err := process.Children()
	require.NoError(t, err)
	stopped := func() (*process.Process, string) {
		p, to := start(t, "report", func(s *process.Spec) { s.Stop = true })
		return p, to
	}
	t.Run("ended", func(t *testing.T) {
		p, to := stopped()
		require.NoError(t, process.Family{Leader: p}.End(context.Background()))
		require.NoError(t, p.Close())
		require.NoFileExists(t, to)
	})
	t.Run("closed", func(t *testing.T) {
		p, to := stopped()
		require.NoError(t, p.Close())
		require.NoFileExists(t, to)
	})
	t.Run("killed from outside", func(t *testing.T) {
		p, to := stopped()
		require.NoError(t, unix.Kill(p.PID(), unix.SIGKILL))
		<-p.Done()
		require.Error(t, p.Release())
		p.Reap()
		require.NoFileExists(t, to)
	})
	after, err := process.Children()
	require.NoError(t, err)
	require.Equal(t, before, after)
}

// Signals that others send to the stopped child wait for its release, and then
// act as ever.
func TestSignalInTheStopIsNotLost(t *testing.T) {
	p, to := start(t, "report", func(s *process.Spec) { s.Stop = true })
	require.NoError(t, p.Signal(unix.SIGUSR1))
	require.NoError(t, p.Release())
	require.Equal(t, process.Exit{Signaled: true, Status: int(unix.SIGUSR1)}, ended(t, p))
	require.NoFileExists(t, to)
}

func TestStoppedStartErrorsLeaveNothing(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	require.NoError(t, os.WriteFile(text, []byte("no program"), 0o700))
	f, err := os.Open(text)
	require.NoError(t, err)
	defer f.Close()
	before, err := process.Children()
	require.NoError(t, err)
	_, err = process.Start(process.Spec{File: f, Name: "x", LinkDir: t.TempDir(), Dir: "/", Argv: []string{"x"}, Stop: true})
	require.ErrorIs(t, err, unix.ENOEXEC)
	after, err := process.Children()
	require.NoError(t, err)
	require.Equal(t, before, after)
}
