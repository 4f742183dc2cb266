package process_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/process"
)

// A tracer that dies takes its stop away from the child: when it had consumed the
// stop, or when SIGCONT had come meanwhile. The death signal comes later.
func TestWhoIsNotLetGoBecomesNothing(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	f, err := os.Open(self)
	require.NoError(t, err)
	defer f.Close()
	to := filepath.Join(t.TempDir(), "report")
	ws, err := process.Unguarded(process.Spec{
		File: f, Dir: "/", Argv: []string{"x"}, Env: []string{"PROCESS_TEST=report", "REPORT=" + to}, Stop: stopper(t),
	})
	require.NoError(t, err)
	require.NoFileExists(t, to)
	require.True(t, ws.Exited())
	require.Equal(t, 1, ws.ExitStatus())
}

// What is kept cannot have the number of a standard descriptor.
func TestKeptBesideStandardDescriptors(t *testing.T) {
	f, err := os.Open("/bin/sleep")
	require.NoError(t, err)
	defer f.Close()
	for _, stop := range []*process.Stopper{nil, stopper(t)} {
		for _, kept := range []*os.File{os.Stdin, os.Stdout, os.Stderr} {
			_, err := process.Start(process.Spec{File: f, Name: "sleep", LinkDir: t.TempDir(), Dir: "/", Argv: []string{"sleep", "1000"}, Stop: stop, Keep: []*os.File{kept}})
			require.ErrorContains(t, err, fmt.Sprintf("descriptor %d", kept.Fd()))
		}
	}
}

// A limit below what is open already does not keep the child from being made.
func TestLowLimitOfOpenFiles(t *testing.T) {
	f, err := os.Open("/bin/sleep")
	require.NoError(t, err)
	defer f.Close()
	for _, soft := range []uint64{0, 1, 2, 3, 4} {
		stop := stopper(t)
		stop.Inherited(soft)
		p, err := process.Start(process.Spec{File: f, Name: "sleep", LinkDir: t.TempDir(), Dir: "/", Argv: []string{"sleep", "1000"}, Stop: stop})
		require.NoError(t, err)
		var limit unix.Rlimit
		require.NoError(t, unix.Prlimit(p.PID(), unix.RLIMIT_NOFILE, nil, &limit))
		require.Equal(t, soft, limit.Cur)
		require.NoError(t, p.Close())
	}
}

// What the kernel says of an open file is not always what it calls the process.
func TestNameThatTheKernelDoesNotKnow(t *testing.T) {
	program, err := os.ReadFile("/bin/sleep")
	require.NoError(t, err)
	named := func(t *testing.T, path string, change func()) {
		f, err := os.Open(path)
		require.NoError(t, err)
		defer f.Close()
		if change != nil {
			change()
		}
		at, err := os.Readlink(fmt.Sprintf("/proc/thread-self/fd/%d", f.Fd()))
		require.NoError(t, err)
		name := filepath.Base(at)
		p, err := process.Start(process.Spec{File: f, Name: name, LinkDir: t.TempDir(), Dir: "/", Argv: []string{"sleep", "1000"}, Stop: stopper(t)})
		require.NoError(t, err)
		require.Equal(t, name[:min(15, len(name))], statusOf(t, p.PID())["Name"])
		require.NoError(t, p.Close())
	}
	t.Run("deleted", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "gone")
		require.NoError(t, os.WriteFile(path, program, 0o700))
		named(t, path, func() { require.NoError(t, os.Remove(path)) })
	})
	t.Run("renamed", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "before")
		require.NoError(t, os.WriteFile(path, program, 0o700))
		named(t, path, func() { require.NoError(t, os.Rename(path, filepath.Join(filepath.Dir(path), "after"))) })
	})
	t.Run("mounted", func(t *testing.T) {
		dir := t.TempDir()
		below, above := filepath.Join(dir, "below"), filepath.Join(dir, "above")
		require.NoError(t, os.WriteFile(below, program, 0o700))
		require.NoError(t, os.WriteFile(above, nil, 0o700))
		done := make(chan error)
		go func() { // on a thread that ends with its mounts
			runtime.LockOSThread()
			err := errors.New("the test has failed")
			defer func() { done <- err }()
			if err = unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
				return
			}
			if err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
				return
			}
			if err = unix.Mount(below, above, "", unix.MS_BIND, ""); err != nil {
				return
			}
			named(t, above, nil)
		}()
		if err := <-done; errors.Is(err, unix.EPERM) {
			t.Skip("nothing can be mounted here: ", err)
		} else {
			require.NoError(t, err)
		}
	})
}
