//go:build faults && linux

package fault_test

import (
	"context"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/fault"
	"github.com/spawnward/spawnward/spawner/fault/gate"
)

// played makes the test binary the process that comes to a step.
const played = "SPAWNWARD_TEST_STEP"

func TestMain(m *testing.M) {
	if step := os.Getenv(played); step != "" {
		fault.At(step)
		os.Exit(7)
	}
	os.Exit(m.Run())
}

func child(t *testing.T, step string, env ...string) *exec.Cmd {
	t.Helper()
	c := exec.Command("/proc/self/exe")
	c.Env = append(env, played+"="+step)
	return c
}

func TestKillAtAStep(t *testing.T) {
	c := child(t, "decide", fault.EnvStep+"=resolve:kill,decide:kill")
	require.Error(t, c.Run())
	ws := c.ProcessState.Sys().(syscall.WaitStatus)
	require.True(t, ws.Signaled())
	require.Equal(t, syscall.SIGKILL, ws.Signal())
}

func TestOtherStepsPass(t *testing.T) {
	c := child(t, "resolve", fault.EnvStep+"=decide:kill")
	require.Error(t, c.Run())
	require.Equal(t, 7, c.ProcessState.ExitCode())
}

func TestNonsenseIsLoud(t *testing.T) {
	for _, plan := range []string{"decid:kill", "decide:kil", "decide", "decide:pause"} {
		c := child(t, "decide", fault.EnvStep+"="+plan)
		require.Error(t, c.Run())
		require.Equal(t, 2, c.ProcessState.ExitCode(), plan)
	}
}

func TestPauseAtAStep(t *testing.T) {
	g, err := gate.New(t.TempDir())
	require.NoError(t, err)
	defer g.Close()
	c := child(t, "decide", g.Env("resolve", "decide")...)
	require.NoError(t, c.Start())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { defer cancel(); ended <- c.Wait() }()
	step, err := g.Wait(ctx)
	require.NoError(t, err)
	require.Equal(t, "decide", step)
	require.Empty(t, ended, "it must wait")
	require.NoError(t, g.Open())
	require.Error(t, <-ended)
	require.Equal(t, 7, c.ProcessState.ExitCode())
}

func TestMutant(t *testing.T) {
	require.False(t, fault.Mutant("any"))
	t.Setenv(fault.EnvMutant, "any")
	require.True(t, fault.Mutant("any"))
	require.False(t, fault.Mutant("other"))
}
