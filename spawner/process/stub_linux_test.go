package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// untraced executes the stub as a child whose tracing the kernel only pretended.
func untraced(t *testing.T, program *os.File, argv ...string) syscall.WaitStatus {
	t.Helper()
	stub, err := makeStub(int(program.Fd()), selfFD(int(program.Fd())))
	require.NoError(t, err)
	defer unix.Close(stub)
	cmd := exec.Command(selfFD(stub))
	cmd.Args = argv
	err = cmd.Run()
	if err != nil {
		require.IsType(t, new(exec.ExitError), err)
	}
	return cmd.ProcessState.Sys().(syscall.WaitStatus)
}

// A child that nobody traces executes nothing but the stub.
func TestStubGoesOnOnlyWhenItIsTraced(t *testing.T) {
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

func TestStubIsSealed(t *testing.T) {
	fd, err := makeStub(3, "/proc/self/fd/3")
	require.NoError(t, err)
	defer unix.Close(fd)
	_, err = unix.Pwrite(fd, []byte("x"), 0)
	require.ErrorIs(t, err, unix.EPERM)
	require.ErrorIs(t, unix.Ftruncate(fd, 0), unix.EPERM)
}
