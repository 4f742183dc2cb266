package process_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/process"
)

// child is what the test binary reports of itself when it plays the child.
type child struct {
	PID, Session, Group int
	Argv, Env           []string
	Comm, Dir           string
	FDs                 map[string]string
	Umask               int
	TTY                 bool
}

func TestMain(m *testing.M) {
	switch os.Getenv("PROCESS_TEST") {
	case "report":
		report(os.Getenv("REPORT"))
	case "family":
		family(os.Getenv("REPORT"), &os.ProcAttr{}, &os.ProcAttr{Sys: &unix.SysProcAttr{Setsid: true}})
	case "session":
		family(os.Getenv("REPORT"), &os.ProcAttr{})
	case "wait":
		wait()
	case "deaf":
		signal.Ignore(unix.SIGTERM)
		report(os.Getenv("REPORT"))
		wait()
	case "noptrace":
		noPtrace(os.Getenv("REPORT"))
	case "become":
		become(os.Getenv("REPORT"))
	case "become-cat":
		becomeCat()
	case "nomemfd":
		noMemfd(os.Getenv("REPORT"))
	case "host":
		host(os.Getenv("REPORT"))
	default:
		os.Exit(m.Run())
	}
}

// wait does nothing until it is killed. An empty select would end a program
// without other goroutines.
func wait() {
	for {
		_ = unix.Pause()
	}
}

func report(to string) {
	sid, _ := unix.Getsid(0)
	c := child{PID: os.Getpid(), Session: sid, Group: unix.Getpgrp(), Argv: os.Args, Env: os.Environ(), FDs: map[string]string{}}
	comm, _ := os.ReadFile("/proc/self/comm")
	c.Comm = strings.TrimSpace(string(comm))
	c.Dir, _ = os.Getwd()
	c.Umask = unix.Umask(0)
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	c.TTY = err == nil
	if err == nil {
		tty.Close()
	}
	// Descriptors that the runtime of this very program opened are named so.
	names, _ := os.ReadDir("/proc/self/fd")
	for _, n := range names {
		if t, err := os.Readlink("/proc/self/fd/" + n.Name()); err == nil && !strings.HasPrefix(t, "anon_inode:") && !strings.HasPrefix(t, "/proc/") && !strings.HasPrefix(t, "/sys/fs/cgroup/") {
			c.FDs[n.Name()] = t
		}
	}
	data, _ := json.Marshal(c)
	_ = os.WriteFile(to+".tmp", data, 0o600)
	_ = os.Rename(to+".tmp", to)
}

// family has children, in its session or in one of their own.
func family(to string, attrs ...*os.ProcAttr) {
	self, _ := os.Executable()
	for _, attr := range attrs {
		attr.Env = []string{"PROCESS_TEST=wait"}
		if _, err := os.StartProcess(self, []string{self}, attr); err != nil {
			return
		}
	}
	_ = os.WriteFile(to, []byte("{}"), 0o600)
	wait()
}

func start(t *testing.T, mode string, change func(*process.Spec)) (*process.Process, string) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	f, err := os.Open(self)
	require.NoError(t, err)
	defer f.Close()
	to := filepath.Join(t.TempDir(), "report")
	spec := process.Spec{
		File: f, Name: "a-backend", LinkDir: t.TempDir(), Dir: "/",
		Argv: []string{"/srv/a-backend", "one", ""}, Env: []string{"PROCESS_TEST=" + mode, "REPORT=" + to},
	}
	if change != nil {
		change(&spec)
	}
	p, err := process.Start(spec)
	require.NoError(t, err)
	t.Cleanup(func() {
		if err := p.Close(); !errors.Is(err, os.ErrClosed) {
			require.NoError(t, err)
		}
	})
	left, err := os.ReadDir(spec.LinkDir)
	require.NoError(t, err)
	require.Empty(t, left, "the link is gone once the file runs")
	return p, to
}

func ended(t *testing.T, p *process.Process) process.Exit {
	t.Helper()
	select {
	case <-p.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("the child does not end")
	}
	e, ok := p.Exit()
	require.True(t, ok)
	p.Reap()
	return e
}

func TestChildIsDetachedAndClean(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	defer w.Close()
	// An inherited descriptor is one that is not close-on-exec.
	inherited, err := unix.FcntlInt(w.Fd(), unix.F_DUPFD, 100)
	require.NoError(t, err)
	defer unix.Close(inherited)
	before := unix.Umask(0o077)
	defer unix.Umask(before)

	p, to := start(t, "report", nil)
	require.Equal(t, process.Exit{}, ended(t, p))
	data, err := os.ReadFile(to)
	require.NoError(t, err)
	var c child
	require.NoError(t, json.Unmarshal(data, &c))
	require.Equal(t, p.PID(), c.PID)
	require.Equal(t, c.PID, c.Session)
	require.Equal(t, c.PID, c.Group)
	require.Equal(t, []string{"/srv/a-backend", "one", ""}, c.Argv)
	require.Equal(t, "a-backend", c.Comm)
	require.Equal(t, "/", c.Dir)
	require.False(t, c.TTY)
	require.Equal(t, 0o077, c.Umask)
	require.Equal(t, map[string]string{"0": "/dev/null", "1": "/dev/null", "2": "/dev/null"}, c.FDs)
	require.Equal(t, []string{"PROCESS_TEST=report", "REPORT=" + to}, c.Env)
	require.Equal(t, 0o077, unix.Umask(0o077), "the host's umask is untouched")
}

func TestManyAtOnce(t *testing.T) {
	done := make(chan *process.Process)
	self, err := os.Executable()
	require.NoError(t, err)
	const n = 40
	for range n {
		go func() {
			f, err := os.Open(self)
			if err != nil {
				done <- nil
				return
			}
			defer f.Close()
			dir, err := os.MkdirTemp(t.TempDir(), "")
			if err != nil {
				done <- nil
				return
			}
			p, _ := process.Start(process.Spec{File: f, Name: "b", LinkDir: dir, Dir: "/", Argv: []string{"b"}, Env: []string{"PROCESS_TEST=report", "REPORT=" + filepath.Join(dir, "r")}})
			done <- p
		}()
	}
	for range n {
		p := <-done
		require.NotNil(t, p)
		require.Equal(t, process.Exit{}, ended(t, p))
		require.NoError(t, p.Close())
	}
}

func TestEndTakesTheWholeFamily(t *testing.T) {
	require.NoError(t, process.Adopt())
	before, err := process.Children()
	require.NoError(t, err)
	others, err := process.Others()
	require.NoError(t, err)
	p, to := start(t, "family", nil)
	require.Eventually(t, func() bool { _, err := os.Stat(to); return err == nil }, 20*time.Second, time.Millisecond)
	require.True(t, p.Alive())
	require.NoError(t, process.Family{Leader: p, Strangers: others}.End(context.Background()))
	require.False(t, p.Alive())
	after, err := process.Children()
	require.NoError(t, err)
	require.Equal(t, before, after)
	require.NoError(t, process.Family{Leader: p, Strangers: others}.End(context.Background()), "ending twice is no error")
}

// A process that was there before becomes this one's child while a backend is
// being launched: whoever typed "sh -c 'x &' & exec spawnward …" has one.
func TestEndSparesOrphansOfOthers(t *testing.T) {
	require.NoError(t, process.Adopt())
	other := exec.Command("/bin/sh", "-c", "sleep 600 & echo $!; read line; exit 0")
	in, err := other.StdinPipe()
	require.NoError(t, err)
	out, err := other.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, other.Start())
	var number int
	_, err = fmt.Fscan(out, &number)
	require.NoError(t, err)
	st, err := process.ReadStat(number)
	require.NoError(t, err)
	orphan, err := process.Open(number, st.StartTicks)
	require.NoError(t, err)
	defer orphan.Close()

	others, err := process.Others()
	require.NoError(t, err)
	p, _ := start(t, "wait", nil)
	require.NoError(t, in.Close())
	require.NoError(t, other.Wait())
	st, err = process.ReadStat(number)
	require.NoError(t, err)
	require.Equal(t, os.Getpid(), st.PPID)
	require.NoError(t, process.Family{Leader: p, Strangers: others}.End(context.Background()))
	require.True(t, orphan.Alive())
	require.NoError(t, orphan.Signal(unix.SIGKILL))
	<-orphan.Done()
	_, err = unix.Wait4(number, nil, 0, nil)
	require.NoError(t, err)
}

func TestOpenRefusesAnotherProcess(t *testing.T) {
	p, _ := start(t, "wait", nil)
	st, err := process.ReadStat(p.PID())
	require.NoError(t, err)
	again, err := process.Open(p.PID(), st.StartTicks)
	require.NoError(t, err)
	require.NoError(t, again.Close())
	_, err = process.Open(p.PID(), st.StartTicks+1)
	require.ErrorIs(t, err, process.ErrGone)
	forced, err := process.Family{Leader: p}.Stop(context.Background(), 20*time.Second)
	require.NoError(t, err)
	require.False(t, forced)
	_, err = process.Open(p.PID(), st.StartTicks)
	require.ErrorIs(t, err, process.ErrGone)
	_, err = process.Open(0, 1)
	require.Error(t, err)
}

func TestStartErrorsLeaveNothing(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	require.NoError(t, os.WriteFile(text, []byte("no program"), 0o700))
	f, err := os.Open(text)
	require.NoError(t, err)
	defer f.Close()
	for name, spec := range map[string]process.Spec{
		"no program":   {File: f, Name: "x", LinkDir: t.TempDir(), Dir: "/", Argv: []string{"x"}},
		"no directory": {File: f, Name: "x", LinkDir: t.TempDir(), Dir: "/nonexistent", Argv: []string{"x"}},
		"no name":      {File: f, Name: "..", LinkDir: t.TempDir(), Dir: "/", Argv: []string{"x"}},
		"bad link dir": {File: f, Name: "x", LinkDir: "/nonexistent", Dir: "/", Argv: []string{"x"}},
	} {
		t.Run(name, func(t *testing.T) {
			before, err := process.Children()
			require.NoError(t, err)
			_, err = process.Start(spec)
			var perr *process.Error
			require.ErrorAs(t, err, &perr)
			after, err := process.Children()
			require.NoError(t, err)
			require.Equal(t, before, after)
		})
	}
}
