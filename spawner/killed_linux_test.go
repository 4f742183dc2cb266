//go:build amd64 || arm64

package spawner_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/process"
)

// playLauncher never lets the evil program go: it only holds it at its exec.
func playLauncher(args []string) int {
	dir := args[0]
	stopper, err := process.NewStopper()
	if err != nil {
		return 4
	}
	for {
		f, err := os.Open(filepath.Join(dir, "evil"))
		if err != nil {
			return 1
		}
		p, err := process.Start(process.Spec{File: f, Name: "evil", LinkDir: args[1], Dir: "/", Argv: []string{"evil"}, Stop: stopper})
		_ = f.Close()
		if err != nil {
			return 2
		}
		_ = os.WriteFile(filepath.Join(dir, "held"), []byte(strconv.Itoa(p.PID())), 0o600)
		if p.Close() != nil {
			return 3
		}
	}
}

// Wherever the launcher dies, what it had not released dies with it and has not
// begun.
func TestKilledLauncherLeavesNothingRunning(t *testing.T) {
	a := newArena(t, t.TempDir(), 0)
	evil, err := os.Stat(filepath.Join(a.dir, "evil"))
	require.NoError(t, err)
	for n := range rounds(t, 300) {
		p := another(t, "launcher", a.dir, t.TempDir())
		require.Eventually(t, func() bool { _, err := os.Stat(filepath.Join(a.dir, "held")); return err == nil || !p.Alive() }, 20*time.Second, 200*time.Microsecond)
		pause(time.Duration(n*7919%1500) * time.Microsecond)
		require.True(t, p.Alive(), "it launches until it is killed")
		require.NoError(t, p.Signal(unix.SIGKILL))
		<-p.Done()
		p.Reap()
		require.NoError(t, os.Remove(filepath.Join(a.dir, "held")))
		require.Eventually(t, func() bool { return !anyRuns(t, evil) }, 20*time.Second, 100*time.Microsecond)
		require.NoFileExists(t, a.mark("evil"), "round %d", n)
	}
}

// anyRuns tells whether a process has the file as its image.
func anyRuns(t *testing.T, image os.FileInfo) bool {
	t.Helper()
	all, err := process.All()
	require.NoError(t, err)
	for _, st := range all {
		exe, err := os.Stat("/proc/" + strconv.Itoa(st.PID) + "/exe")
		if err == nil && os.SameFile(exe, image) {
			return true
		}
	}
	return false
}

// playReleaser releases sleep(1), tells its number, and waits to be killed.
func playReleaser(args []string) int {
	f, err := os.Open("/bin/sleep")
	if err != nil {
		return 1
	}
	stopper, err := process.NewStopper()
	if err != nil {
		return 4
	}
	p, err := process.Start(process.Spec{File: f, Name: "sleep", LinkDir: args[1], Dir: "/", Argv: []string{"sleep", "1000"}, Stop: stopper})
	if err != nil || p.Release() != nil {
		return 2
	}
	st, err := process.ReadStat(p.PID())
	if err != nil {
		return 3
	}
	_ = os.WriteFile(args[0]+".tmp", fmt.Appendf(nil, "%d %d", st.PID, st.StartTicks), 0o600)
	_ = os.Rename(args[0]+".tmp", args[0])
	<-p.Done()
	return 0
}

// The death signal and the tracer are gone with the release.
func TestReleasedOutlivesItsLauncher(t *testing.T) {
	to := filepath.Join(t.TempDir(), "held")
	launcher := another(t, "releaser", to, t.TempDir())
	require.Eventually(t, func() bool { _, err := os.Stat(to); return err == nil || !launcher.Alive() }, 20*time.Second, time.Millisecond)
	data, err := os.ReadFile(to)
	require.NoError(t, err)
	var pid int
	var ticks uint64
	_, err = fmt.Sscan(string(data), &pid, &ticks)
	require.NoError(t, err)
	p, err := process.Open(pid, ticks)
	require.NoError(t, err)
	defer p.Close()
	require.NoError(t, launcher.Signal(unix.SIGKILL))
	<-launcher.Done()
	launcher.Reap()
	// A death signal would have been sent before the launcher was seen dead, and
	// a signal is acted upon before the next one can be delivered.
	require.NoError(t, p.Signal(unix.SIGCONT))
	require.True(t, p.Alive())
	require.NoError(t, process.Family{Leader: p}.End(context.Background()))
	unix.Wait4(pid, nil, 0, nil) // it is ours by adoption
}

// Without this, no mark would prove nothing.
func TestEvilProgramLeavesItsMark(t *testing.T) {
	a := newArena(t, t.TempDir(), 0)
	f, err := os.Open(a.evil)
	require.NoError(t, err)
	defer f.Close()
	p, err := process.Start(process.Spec{File: f, Name: "evil", LinkDir: t.TempDir(), Dir: "/", Argv: []string{"evil"}})
	require.NoError(t, err)
	<-p.Done()
	exit, known := p.Exit()
	require.True(t, known)
	require.Equal(t, process.Exit{}, exit)
	p.Reap()
	require.NoError(t, p.Close())
	require.FileExists(t, a.mark("evil"))
	require.NoFileExists(t, a.mark("good"))
}
