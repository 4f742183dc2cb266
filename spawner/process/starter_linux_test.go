package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// untraced executes the starter as a child whose tracing the kernel only pretended.
func untraced(t *testing.T, program *os.File, argv ...string) syscall.WaitStatus {
	t.Helper()
	starter, err := makeStarter(int(program.Fd()), selfFD(int(program.Fd())))
	require.NoError(t, err)
	defer starter.Close()
	cmd := exec.Command(selfFD(int(starter.Fd())))
	cmd.Args = argv
	err = cmd.Run()
	if err != nil {
		require.IsType(t, new(exec.ExitError), err)
	}
	return cmd.ProcessState.Sys().(syscall.WaitStatus)
}

// A child that nobody traces executes nothing but the starter.
func TestStarterGoesOnOnlyWhenItIsTraced(t *testing.T) {
	touch, err := os.Open("/bin/touch")
	if err != nil {
		t.Skip("no program to run: ", err)
	}
	defer touch.Close()
	mark := filepath.Join(t.TempDir(), "mark")
	for range 20 {
		ws := untraced(t, touch, "touch", mark)
		require.True(t, ws.Exited())
		require.Zero(t, ws.ExitStatus())
		require.NoFileExists(t, mark)
	}
}
