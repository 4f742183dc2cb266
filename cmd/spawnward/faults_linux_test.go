package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/fault"
	"github.com/spawnward/spawnward/spawner/fault/gate"
)

// newFaultyBench is a bench whose command can be held and killed at every step.
func newFaultyBench(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	require.NoError(t, os.Remove(b.command))
	said, err := exec.Command("go", "build", "-tags", "faults", "-o", b.command, ".").CombinedOutput()
	require.NoError(t, err, "%s", said)
	return b
}

// killed runs the command so that it kills itself at a step.
func (b *bench) killed(step string, args ...string) {
	b.t.Helper()
	for {
		c := b.cmd(args...)
		c.Env = append(c.Env, fault.EnvStep+"="+step+":"+fault.Kill)
		out, err := c.CombinedOutput()
		if strings.Contains(string(out), "policy_timeout") { // a machine that is busy elsewhere
			continue
		}
		require.Error(b.t, err, "step %s was not reached: %s", step, out)
		ws, ok := c.ProcessState.Sys().(syscall.WaitStatus)
		require.True(b.t, ok && ws.Signaled() && ws.Signal() == syscall.SIGKILL, "step %s was not reached: %v: %s", step, err, out)
		return
	}
}

// held runs the command, does something while it waits at a step, and gives its
// output and how it ended.
func (b *bench) held(step string, while func(pid int), args ...string) (string, error) {
	b.t.Helper()
	g, err := gate.New(b.t.TempDir())
	require.NoError(b.t, err)
	defer g.Close()
	c := b.cmd(args...)
	c.Env = append(c.Env, g.Env(step)...)
	out, err := os.Create(filepath.Join(b.t.TempDir(), "out"))
	require.NoError(b.t, err)
	defer out.Close()
	c.Stdout, c.Stderr = out, out
	require.NoError(b.t, c.Start())
	ctx, cancel := context.WithCancel(b.t.Context())
	ended := make(chan error, 1)
	go func() { defer cancel(); ended <- c.Wait() }()
	at, err := g.Wait(ctx)
	if err == nil {
		require.Equal(b.t, step, at)
		while(c.Process.Pid)
		require.NoError(b.t, g.Open())
	}
	err = <-ended
	text, rerr := os.ReadFile(out.Name())
	require.NoError(b.t, rerr)
	return string(text), err
}
