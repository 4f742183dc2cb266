package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/conformance/scripted"
	"github.com/spawnward/spawnward/spawner"
	"github.com/spawnward/spawnward/spawner/process"
)

// pseudoTerminal opens a terminal pair.
func pseudoTerminal(t *testing.T) (control, terminal *os.File) {
	t.Helper()
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	n, err := unix.IoctlGetInt(int(control.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetPointerInt(int(control.Fd()), unix.TIOCSPTLCK, 0))
	terminal, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	return control, terminal
}

func (b *bench) backend() (binary, root string) {
	b.t.Helper()
	root = filepath.Join(filepath.Dir(b.services), "opt")
	require.NoError(b.t, os.Mkdir(root, 0o755))
	binary = filepath.Join(root, "backend")
	require.NoError(b.t, copySelf(binary, ""))
	return binary, root
}

// TestBackendOutlivesLauncherAndTerminal runs the launcher on a terminal, with
// descriptors that it inherited, and then takes the terminal away.
func TestBackendOutlivesLauncherAndTerminal(t *testing.T) {
	b := newBench(t)
	binary, root := b.backend()
	report := filepath.Join(root, "report")
	control, terminal := pseudoTerminal(t)
	defer control.Close()
	extra, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer extra.Close()

	out, err := os.Create(filepath.Join(root, "out"))
	require.NoError(t, err)
	defer out.Close()
	c := b.cmd("launch", "-o", "json", "--binary", binary, "--root", root, "app@1.0.0", "--", "scripted-backend", "print", "--out="+report)
	c.Stdin, c.Stdout, c.Stderr = terminal, out, terminal
	c.ExtraFiles = []*os.File{extra, extra, extra} // inherited as 3, 4, 5
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, c.Run())
	require.NoError(t, terminal.Close())
	require.NoError(t, control.Close()) // hangs up whoever is on the terminal

	data, err := os.ReadFile(out.Name())
	require.NoError(t, err)
	var r spawner.Report
	require.NoError(t, json.Unmarshal(data, &r))
	require.Contains(t, string(b.ok("probe", "app")), "live")

	data, err = os.ReadFile(report)
	require.NoError(t, err)
	var seen scripted.Report
	require.NoError(t, json.Unmarshal(data, &seen))
	require.Zero(t, seen.TTY)
	require.Equal(t, seen.PID, seen.Session)
	for fd, target := range seen.Descriptors {
		runtimes := strings.HasPrefix(target, "anon_inode:") || strings.HasPrefix(target, "/sys/fs/cgroup/")
		require.True(t, target == os.DevNull && fd <= 2 || runtimes, "descriptor %d is %s", fd, target)
	}
	b.ok("stop", "app")
	b.empty()
}

// TestInterruptUndoesTheLaunch sends the command what Ctrl-C sends while it
// waits for a backend that never listens.
func TestInterruptUndoesTheLaunch(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			b := newBench(t)
			binary, root := b.backend()
			pids := filepath.Join(root, "pids")
			c := b.cmd("launch", "--ready-timeout", "30s", "--binary", binary, "--root", root, "app@1.0.0", "--", "scripted-backend", "never", "--pids="+pids)
			require.NoError(t, c.Start())
			require.Eventually(t, func() bool { st, err := os.Stat(pids); return err == nil && st.Size() > 0 }, 20*time.Second, time.Millisecond)
			require.NoError(t, c.Process.Signal(sig))
			var exit *exec.ExitError
			require.ErrorAs(t, c.Wait(), &exit)
			require.Equal(t, 1, exit.ExitCode())
			b.empty()
			data, err := os.ReadFile(pids)
			require.NoError(t, err)
			var role string
			var pid int
			_, err = fmt.Sscan(string(data), &role, &pid)
			require.NoError(t, err)
			st, err := process.ReadStat(pid)
			require.True(t, err != nil || st.State == 'Z', "process %d still runs", pid)
		})
	}
}

// TestDemoCleansUpWhenInterrupted interrupts the demonstration as soon as its
// directory is there.
func TestDemoCleansUpWhenInterrupted(t *testing.T) {
	b := newBench(t)
	tmp := t.TempDir()
	c := b.cmd("demo")
	c.Env = append(c.Env, "TMPDIR="+tmp)
	require.NoError(t, c.Start())
	require.Eventually(t, func() bool { names, _ := os.ReadDir(tmp); return len(names) > 0 }, 20*time.Second, time.Millisecond)
	require.NoError(t, c.Process.Signal(os.Interrupt))
	_ = c.Wait() // it may have been faster than the signal
	names, err := os.ReadDir(tmp)
	require.NoError(t, err)
	require.Empty(t, names)
	b.emptyRun()
}

// emptyRun demands that no socket is left.
func (b *bench) emptyRun() {
	b.t.Helper()
	require.NoError(b.t, filepath.WalkDir(b.run, func(path string, d os.DirEntry, err error) error {
		require.NoError(b.t, err)
		require.True(b.t, d.IsDir(), "%s is left", path)
		return nil
	}))
}

// TestRefusesSetUserID runs a copy of the command that belongs to another user
// and has its set-user-id bit.
func TestRefusesSetUserID(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make a file of another user")
	}
	dir, err := os.MkdirTemp("", "setid")
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	require.NoError(t, os.Chmod(dir, 0o755))
	binary := filepath.Join(dir, "spawnward")
	require.NoError(t, copySelf(binary, ""))
	require.NoError(t, os.Chown(binary, 1001, 1001))
	require.NoError(t, os.Chmod(binary, 0o755|os.ModeSetuid))
	out, err := exec.Command(binary, "version").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "set_id_refused")
}
