package process_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/process"
)

// onMainThread is set before main in a test binary that plays a host, so that
// its main goroutine never leaves the main thread.
var onMainThread = func() bool {
	if os.Getenv("PROCESS_TEST") != "host" {
		return false
	}
	runtime.LockOSThread()
	return unix.Gettid() == os.Getpid()
}()

// hosted is what a test binary that plays a host tells of a child of its own.
type hosted struct {
	OnMain, StillOnMain bool
	Err                 string
	Host, Child         map[string]string // lines of /proc/pid/status
}

// host starts a program from the main thread.
func host(to string) {
	h := hosted{OnMain: onMainThread, Host: status("self")}
	func() {
		f, err := os.Open("/bin/sleep")
		if err != nil {
			h.Err = err.Error()
			return
		}
		p, err := process.Start(process.Spec{File: f, Name: "sleep", LinkDir: filepath.Dir(to), Dir: "/", Argv: []string{"sleep", "1000"}})
		if err != nil {
			h.Err = err.Error()
			return
		}
		h.Child = status(fmt.Sprint(p.PID()))
		if err := (process.Family{Leader: p}).End(context.Background()); err != nil {
			h.Err = err.Error()
		}
	}()
	h.StillOnMain = unix.Gettid() == os.Getpid()
	data, _ := json.Marshal(h)
	_ = os.WriteFile(to, data, 0o600)
}

func status(pid string) map[string]string {
	data, _ := os.ReadFile("/proc/" + pid + "/status")
	lines := map[string]string{}
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(line, ":")
		lines[name] = strings.TrimSpace(value)
	}
	return lines
}

// asHost runs this test binary as a host that inherits the mask of the thread.
func asHost(t *testing.T) hosted {
	t.Helper()
	if _, err := os.Stat("/bin/sleep"); err != nil {
		t.Skip("no program to run: ", err)
	}
	self, err := os.Executable()
	require.NoError(t, err)
	to := filepath.Join(t.TempDir(), "host")
	cmd := exec.Command(self)
	cmd.Env = []string{"PROCESS_TEST=host", "REPORT=" + to}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	data, err := os.ReadFile(to)
	require.NoError(t, err)
	var h hosted
	require.NoError(t, json.Unmarshal(data, &h))
	require.Empty(t, h.Err)
	return h
}

func TestStartFromTheMainThread(t *testing.T) {
	h := asHost(t)
	require.True(t, h.OnMain)
	require.True(t, h.StillOnMain)
	require.Equal(t, h.Host["Pid"], h.Child["PPid"])
}

func TestSignalsOfTheChildAreDefault(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var set, before unix.Sigset_t
	for _, s := range []unix.Signal{unix.SIGTERM, unix.SIGHUP, unix.SIGINT, unix.SIGUSR1} {
		set.Val[0] |= 1 << (s - 1)
	}
	require.NoError(t, unix.PthreadSigmask(unix.SIG_BLOCK, &set, &before))
	h := asHost(t)
	require.NoError(t, unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil))
	require.NotEqual(t, "0000000000000000", h.Host["SigBlk"], "the host inherited a mask")
	require.Equal(t, "0000000000000000", h.Child["SigBlk"])
	require.Equal(t, "0000000000000000", h.Child["SigCgt"])
	require.Equal(t, h.Host["SigIgn"], h.Child["SigIgn"], "only what the host ignores")
}

// A host that ignores a signal passes that on; one that takes it does not.
func TestNotifiedSignalsAreDefaultInTheChild(t *testing.T) {
	taken := make(chan os.Signal, 1)
	signal.Notify(taken, unix.SIGHUP, unix.SIGINT)
	defer signal.Stop(taken)
	p, _ := start(t, "wait", nil)
	require.NoError(t, p.Signal(unix.SIGHUP))
	require.Equal(t, process.Exit{Signaled: true, Status: int(unix.SIGHUP)}, ended(t, p))
}

func TestAutoReapOutlivesClose(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	for _, closed := range []bool{false, true} {
		f, err := os.Open(self)
		require.NoError(t, err)
		p, err := process.Start(process.Spec{File: f, Name: "x", LinkDir: t.TempDir(), Dir: "/", Argv: []string{"x"}, Env: []string{"PROCESS_TEST=wait"}})
		require.NoError(t, err)
		require.NoError(t, f.Close())
		p.AutoReap()
		p.AutoReap()
		if closed {
			require.NoError(t, p.Close())
		}
		_, over := p.Exit()
		require.False(t, over)
		require.NoError(t, unix.Kill(p.PID(), unix.SIGKILL), "ours and unreaped")
		require.Eventually(t, func() bool {
			_, err := process.ReadStat(p.PID())
			return err != nil
		}, 20*time.Second, time.Millisecond)
		if !closed {
			require.Eventually(t, func() bool { _, ok := p.Exit(); return ok }, 20*time.Second, time.Millisecond)
			e, _ := p.Exit()
			require.Equal(t, process.Exit{Signaled: true, Status: 9}, e)
			require.NoError(t, p.Close())
		}
	}
}

// number makes the kernel give the next process the number pid.
func number(pid int) error {
	return os.WriteFile("/proc/sys/kernel/ns_last_pid", fmt.Appendf(nil, "%d", pid-1), 0)
}

// After a process has ended and was reaped, a stranger gets its number: nothing
// that is done to the old one may reach the new one.
func TestReusedNumber(t *testing.T) {
	if err := number(os.Getpid()); err != nil {
		t.Skip("process numbers cannot be chosen: ", err)
	}
	ended := func() (old, opened *process.Process, ticks uint64) {
		old, _ = start(t, "wait", nil)
		st, err := process.ReadStat(old.PID())
		require.NoError(t, err)
		opened, err = process.Open(old.PID(), st.StartTicks)
		require.NoError(t, err)
		require.NoError(t, process.Family{Leader: old}.End(t.Context()))
		return old, opened, st.StartTicks
	}
	for range 50 {
		old, opened, ticks := ended()
		require.NoError(t, number(old.PID()))
		// The stranger leads a session and has a child in it.
		stranger, to := start(t, "session", nil)
		st, err := process.ReadStat(stranger.PID())
		require.NoError(t, err)
		if stranger.PID() == old.PID() && st.StartTicks != ticks {
			require.Eventually(t, func() bool { _, err := os.Stat(to); return err == nil }, 20*time.Second, time.Millisecond)
			before := session(t, stranger.PID())
			require.Greater(t, len(before), 1)
			_, err = process.Open(old.PID(), ticks)
			require.ErrorIs(t, err, process.ErrGone)
			for _, p := range []*process.Process{old, opened} {
				require.False(t, p.Alive())
				require.ErrorIs(t, p.Signal(unix.SIGKILL), process.ErrGone)
				require.NoError(t, process.Family{Leader: p}.End(t.Context()))
				_, err := process.Family{Leader: p}.Stop(t.Context(), time.Second)
				require.NoError(t, err)
				p.Reap()
			}
			require.True(t, stranger.Alive())
			require.Equal(t, before, session(t, stranger.PID()), "the stranger's session is whole")
			require.NoError(t, opened.Close())
			require.NoError(t, process.Family{Leader: stranger}.End(t.Context()))
			return
		}
		require.NoError(t, opened.Close())
		require.NoError(t, process.Family{Leader: stranger}.End(t.Context()))
	}
	t.Skip("the machine is too busy to get a number twice")
}

// session lists the living processes of a session.
func session(t *testing.T, id int) map[int]bool {
	t.Helper()
	all, err := process.All()
	require.NoError(t, err)
	in := map[int]bool{}
	for _, st := range all {
		if st.Session == id && st.State != 'Z' {
			in[st.PID] = true
		}
	}
	return in
}

func TestEndGivesUpWithItsContextAndLeaksNothing(t *testing.T) {
	count := func() int {
		names, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		return len(names)
	}
	p, to := start(t, "session", nil)
	require.Eventually(t, func() bool { _, err := os.Stat(to); return err == nil }, 20*time.Second, time.Millisecond)
	before := count()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	// Whether the kernel is faster than the context does not matter here.
	_ = process.Family{Leader: p}.End(ctx)
	require.Equal(t, before, count(), "descriptors leaked")
	require.NoError(t, process.Family{Leader: p}.End(t.Context()))
	require.Equal(t, before, count(), "descriptors leaked")
	_, err := process.Family{Leader: p}.Stop(ctx, time.Hour)
	if err != nil {
		require.ErrorIs(t, err, context.Canceled)
	}
}

// An ended leader that its parent does not reap still stands for its session.
func TestSessionOfAnUnreapedLeader(t *testing.T) {
	require.NoError(t, process.Adopt())
	own, to := start(t, "session", nil)
	st, err := process.ReadStat(own.PID())
	require.NoError(t, err)
	p, err := process.Open(own.PID(), st.StartTicks)
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Close()) }()
	require.Eventually(t, func() bool { _, err := os.Stat(to); return err == nil }, 20*time.Second, time.Millisecond)
	require.NoError(t, own.Signal(unix.SIGKILL))
	<-own.Done()
	require.Len(t, session(t, own.PID()), 1)
	require.NoError(t, process.Family{Leader: p}.End(t.Context()))
	require.Empty(t, session(t, own.PID()))
	_, err = process.ReadStat(own.PID())
	require.NoError(t, err, "the leader is left for its parent to reap")
	require.NoError(t, process.Family{Leader: own}.End(t.Context()))
}

func TestStopByForce(t *testing.T) {
	p, to := start(t, "deaf", nil)
	require.Eventually(t, func() bool { _, err := os.Stat(to); return err == nil }, 20*time.Second, time.Millisecond)
	forced, err := process.Family{Leader: p}.Stop(t.Context(), time.Millisecond)
	require.NoError(t, err)
	require.True(t, forced)
	e, ok := p.Exit()
	require.True(t, ok)
	require.Equal(t, process.Exit{Signaled: true, Status: 9}, e)
}

func TestWhatCannotBeExecuted(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	image, err := os.ReadFile(self)
	require.NoError(t, err)
	dir := t.TempDir()
	if st, err := os.Stat("/dev/shm"); err == nil && st.IsDir() {
		// Overlay file systems do not refuse writers.
		if shm, err := os.MkdirTemp("/dev/shm", ""); err == nil {
			dir = shm
			t.Cleanup(func() { require.NoError(t, os.RemoveAll(shm)) })
		}
	}
	busy := filepath.Join(dir, "busy")
	require.NoError(t, os.WriteFile(busy, image, 0o700))
	writer, err := os.OpenFile(busy, os.O_WRONLY, 0)
	require.NoError(t, err)
	defer writer.Close()
	write := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, []byte(content), mode))
		return path
	}
	long := strings.Repeat("x", 200<<10)
	for name, c := range map[string]struct {
		path   string
		change func(*process.Spec)
		want   error
	}{
		"no program":              {write("text", "no program", 0o700), nil, unix.ENOEXEC},
		"empty file":              {write("empty", "", 0o700), nil, unix.ENOEXEC},
		"half a program":          {write("half", "\x7fELF\x02\x01\x01", 0o700), nil, unix.ENOEXEC},
		"no execute permission":   {write("plain", string(image), 0o600), nil, unix.EACCES},
		"a directory":             {"/", nil, unix.EACCES},
		"a device":                {"/dev/null", nil, unix.EACCES},
		"open for writing":        {busy, nil, unix.ETXTBSY},
		"argument too long":       {self, func(s *process.Spec) { s.Argv = append(s.Argv, long) }, unix.E2BIG},
		"variable too long":       {self, func(s *process.Spec) { s.Env = []string{"A=" + long} }, unix.E2BIG},
		"NUL in an argument":      {self, func(s *process.Spec) { s.Argv = []string{"a\x00b"} }, unix.EINVAL},
		"NUL in a variable":       {self, func(s *process.Spec) { s.Env = []string{"A=\x00"} }, unix.EINVAL},
		"no working directory":    {self, func(s *process.Spec) { s.Dir = "/nonexistent" }, unix.ENOENT},
		"working directory: file": {self, func(s *process.Spec) { s.Dir = self }, unix.ENOTDIR},
		"script without its file": {write("script", "#!/nonexistent\n", 0o700), nil, unix.ENOENT},
		"no link directory":       {self, func(s *process.Spec) { s.LinkDir = "/nonexistent" }, unix.ENOENT},
		"name that is taken":      {self, func(s *process.Spec) { _ = os.WriteFile(s.LinkDir+"/x", nil, 0o600) }, unix.EEXIST},
		"name with a slash":       {self, func(s *process.Spec) { s.Name = "a/b" }, nil},
		"name that leads up":      {self, func(s *process.Spec) { s.Name = ".." }, nil},
		"no name":                 {self, func(s *process.Spec) { s.Name = "" }, nil},
		"name too long":           {self, func(s *process.Spec) { s.Name = strings.Repeat("n", 256) }, unix.ENAMETOOLONG},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := os.Open(c.path)
			require.NoError(t, err)
			defer f.Close()
			spec := process.Spec{File: f, Name: "x", LinkDir: t.TempDir(), Dir: "/", Argv: []string{"x"}, Env: []string{"PROCESS_TEST=wait"}}
			if c.change != nil {
				c.change(&spec)
			}
			kids, err := process.Children()
			require.NoError(t, err)
			fds, err := os.ReadDir("/proc/self/fd")
			require.NoError(t, err)
			p, err := process.Start(spec)
			require.Nil(t, p)
			var perr *process.Error
			require.ErrorAs(t, err, &perr)
			require.Equal(t, code.SpawnFailed, perr.Code())
			require.NotEmpty(t, perr.Op)
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
			}
			if perr.Op == "execute "+c.path {
				require.ErrorContains(t, err, c.path)
			}
			after, err := process.Children()
			require.NoError(t, err)
			require.Equal(t, kids, after)
			left, err := os.ReadDir("/proc/self/fd")
			require.NoError(t, err)
			require.Len(t, left, len(fds), "descriptors leaked")
		})
	}
}

func TestEmptyEnvironmentStaysEmpty(t *testing.T) {
	if _, err := os.Stat("/bin/sleep"); err != nil {
		t.Skip("no program to run: ", err)
	}
	f, err := os.Open("/bin/sleep")
	require.NoError(t, err)
	defer f.Close()
	p, err := process.Start(process.Spec{File: f, Name: "sleep", LinkDir: t.TempDir(), Dir: "/", Argv: []string{"sleep", "1000"}})
	require.NoError(t, err)
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.PID()))
	require.NoError(t, err)
	require.Empty(t, env)
	require.NoError(t, process.Family{Leader: p}.End(t.Context()))
	require.NoError(t, p.Close())
}

// Many ask and act at once while the child ends.
func TestProcessIsSafeForConcurrentUse(t *testing.T) {
	p, _ := start(t, "wait", nil)
	p.AutoReap()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for p.Alive() {
				p.Exit()
				p.Reap()
				_ = p.Signal(unix.SIGCONT)
			}
		})
	}
	wg.Go(func() { _ = p.Signal(unix.SIGKILL) })
	wg.Go(func() { _ = process.Family{Leader: p}.End(t.Context()) })
	wg.Wait()
	e, ok := p.Exit()
	require.True(t, ok)
	require.Equal(t, process.Exit{Signaled: true, Status: 9}, e)
}
