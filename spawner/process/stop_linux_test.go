package process_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/code"
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

func stopper(t testing.TB) *process.Stopper {
	t.Helper()
	s, err := process.NewStopper()
	require.NoError(t, err)
	return s
}

func canStop() error {
	_, err := process.NewStopper()
	return err
}

func TestNewStopper(t *testing.T) {
	before, err := process.Children()
	require.NoError(t, err)
	require.NoError(t, canStop())
	after, err := process.Children()
	require.NoError(t, err)
	require.Equal(t, before, after)
}

// What is held at its exec is there under its final image and has not run.
func TestStoppedThenReleasedIsAsNeverStopped(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	p, to := start(t, "report", func(s *process.Spec) { s.Stop = stopper(t) })
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

// Where the kernel names what is executed by descriptor, no link is needed.
func TestNamedAfterItsFile(t *testing.T) {
	program, err := os.ReadFile("/bin/sleep")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "a-longer-name-than-the-kernel-keeps")
	require.NoError(t, os.WriteFile(path, program, 0o700))
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	s := stopper(t)
	require.False(t, s.Names(f, "another"))
	if !s.Names(f, filepath.Base(path)) {
		t.Skip("this kernel needs the link")
	}
	p, err := process.Start(process.Spec{File: f, Name: filepath.Base(path), Dir: "/", Argv: []string{"sleep", "1000"}, Stop: s})
	require.NoError(t, err)
	require.Equal(t, "a-longer-name-t", statusOf(t, p.PID())["Name"])
	require.NoError(t, p.Close())
}

// A process is released where it was started: no other thread traces it.
func TestReleasedElsewhere(t *testing.T) {
	p, to := start(t, "report", func(s *process.Spec) { s.Stop = stopper(t) })
	err := make(chan error)
	go func() { err <- p.Release() }()
	require.ErrorContains(t, <-err, "goroutine")
	require.NoError(t, p.Release())
	require.Equal(t, process.Exit{}, ended(t, p))
	require.FileExists(t, to)
}

// The child shares the host's memory until its exec, while everything else in the
// host goes on: other children, the collector, growing stacks.
func TestHeldBesideEverythingElse(t *testing.T) {
	stop := stopper(t)
	f, err := os.Open("/bin/echo")
	require.NoError(t, err)
	defer f.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			runtime.GC()
		}
	}()
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for n := range 40 {
				word := fmt.Sprint(strings.Repeat("x", n*17), worker, n)
				said, err := os.CreateTemp(t.TempDir(), "")
				if !assert.NoError(t, err) {
					return
				}
				p, err := process.Start(process.Spec{
					File: f, Name: "echo", LinkDir: t.TempDir(), Dir: "/", Argv: []string{"echo", word, os.Getenv("PATH")}, Stop: stop, Stderr: said,
				})
				if !assert.NoError(t, err) {
					return
				}
				args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.PID()))
				assert.NoError(t, err)
				assert.Equal(t, "echo\x00"+word+"\x00"+os.Getenv("PATH")+"\x00", string(args))
				assert.NoError(t, p.Release())
				<-p.Done()
				p.Reap()
				assert.NoError(t, p.Close())
				assert.NoError(t, said.Close())
			}
		})
	}
	all.Wait()
}

// What the host has as its own standard descriptors is the child's all the same.
func TestStandardErrorOfTheHost(t *testing.T) {
	for _, stop := range []*process.Stopper{nil, stopper(t)} {
		p, to := start(t, "report", func(s *process.Spec) { s.Stop, s.Stderr = stop, os.Stderr })
		require.NoError(t, p.Release())
		require.Equal(t, process.Exit{}, ended(t, p))
		data, err := os.ReadFile(to)
		require.NoError(t, err)
		var c child
		require.NoError(t, json.Unmarshal(data, &c))
		mine, err := os.Readlink("/proc/self/fd/2")
		require.NoError(t, err)
		require.Equal(t, map[string]string{"0": "/dev/null", "1": "/dev/null", "2": mine}, c.FDs)
	}
}

// The limit of open files is as another program than one of Go's would pass it on.
func TestLimitOfOpenFiles(t *testing.T) {
	control, err := exec.Command("/bin/sh", "-c", "ulimit -Sn").Output()
	require.NoError(t, err)
	f, err := os.Open("/bin/sleep")
	require.NoError(t, err)
	defer f.Close()
	for _, stop := range []*process.Stopper{nil, stopper(t)} {
		p, err := process.Start(process.Spec{File: f, Name: "sleep", LinkDir: t.TempDir(), Dir: "/", Argv: []string{"sleep", "1000"}, Stop: stop})
		require.NoError(t, err)
		var limit unix.Rlimit
		require.NoError(t, unix.Prlimit(p.PID(), unix.RLIMIT_NOFILE, nil, &limit))
		require.Equal(t, strings.TrimSpace(string(control)), fmt.Sprint(limit.Cur))
		require.NoError(t, process.Family{Leader: p}.End(context.Background()))
		require.NoError(t, p.Close())
	}
}

// What is kept is open in the program under its number, held or not, and the
// program's own descriptor is not.
func TestKept(t *testing.T) {
	zero, err := os.Open("/dev/zero")
	require.NoError(t, err)
	defer zero.Close()
	for _, stop := range []*process.Stopper{nil, stopper(t)} {
		p, to := start(t, "report", func(s *process.Spec) { s.Stop, s.Keep = stop, []*os.File{zero} })
		require.NoError(t, p.Release())
		require.Equal(t, process.Exit{}, ended(t, p))
		data, err := os.ReadFile(to)
		require.NoError(t, err)
		var c child
		require.NoError(t, json.Unmarshal(data, &c))
		require.Equal(t, map[string]string{"0": "/dev/null", "1": "/dev/null", "2": "/dev/null", fmt.Sprint(zero.Fd()): "/dev/zero"}, c.FDs)
		flags, err := unix.FcntlInt(zero.Fd(), unix.F_GETFD, 0)
		require.NoError(t, err)
		require.Equal(t, unix.FD_CLOEXEC, flags, "the host's own is untouched")
	}
}

// sleep(1) has no runtime that would hide what was left in it.
func TestReleasedCarriesNoTrace(t *testing.T) {
	plain := exec.Command("/bin/sleep", "1000")
	require.NoError(t, plain.Start())
	control := statusOf(t, plain.Process.Pid)
	require.NoError(t, plain.Process.Kill())
	require.Error(t, plain.Wait())
	f, err := os.Open("/bin/sleep")
	require.NoError(t, err)
	defer f.Close()
	for _, stop := range []*process.Stopper{nil, stopper(t)} {
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
		for _, name := range []string{"SigPnd", "ShdPnd", "SigBlk", "SigCgt"} {
			require.Equal(t, strings.Repeat("0", 16), s[name], name)
		}
		require.Equal(t, control["SigIgn"], s["SigIgn"], "what the host was made to ignore, it ignores")
		require.NoError(t, process.Family{Leader: p}.End(context.Background()))
		require.NoError(t, p.Close())
	}
}

func TestStoppedIsEndedUnlessReleased(t *testing.T) {
	before, err := process.Children()
	require.NoError(t, err)
	stopped := func() (*process.Process, string) {
		p, to := start(t, "report", func(s *process.Spec) { s.Stop = stopper(t) })
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
	p, to := start(t, "report", func(s *process.Spec) { s.Stop = stopper(t) })
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
	_, err = process.Start(process.Spec{File: f, Name: "x", LinkDir: t.TempDir(), Dir: "/", Argv: []string{"x"}, Stop: stopper(t)})
	require.ErrorIs(t, err, unix.ENOEXEC)
	after, err := process.Children()
	require.NoError(t, err)
	require.Equal(t, before, after)
}

// noPtrace forbids ptrace(2) to itself, as a container's filter does, and tells
// what comes of it.
func noPtrace(to string) {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the number of the system call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_PTRACE, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return
	}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program))); errno != 0 {
		return
	}
	err := canStop()
	c, _ := code.Of(err)
	kids, kerr := process.Children()
	said := fmt.Sprintf("%s %v %d %v", c, errors.Is(err, unix.EPERM), len(kids), kerr)
	_ = os.WriteFile(to, []byte(said), 0o600)
}

func TestFilteredPtraceIsNamed(t *testing.T) {
	p, to := start(t, "noptrace", nil)
	ended(t, p)
	said, err := os.ReadFile(to)
	require.NoError(t, err)
	require.Equal(t, "binding_unavailable true 0 <nil>", string(said))
}

// BenchmarkStart starts one program in three ways, one after the other, so that
// what else the machine does falls on all of them.
func BenchmarkStart(b *testing.B) {
	f, err := os.Open("/bin/true")
	require.NoError(b, err)
	defer f.Close()
	dir, stop := b.TempDir(), stopper(b)
	var control, plain, stopped []time.Duration
	ours := func(stop *process.Stopper) time.Duration {
		began := time.Now()
		p, err := process.Start(process.Spec{File: f, Name: "true", LinkDir: dir, Dir: "/", Argv: []string{"true"}, Stop: stop})
		require.NoError(b, err)
		require.NoError(b, p.Release())
		took := time.Since(began)
		<-p.Done()
		p.Reap()
		require.NoError(b, p.Close())
		return took
	}
	for b.Loop() {
		began := time.Now()
		cmd := exec.Command("/bin/true")
		require.NoError(b, cmd.Start())
		control = append(control, time.Since(began))
		require.NoError(b, cmd.Wait())
		plain = append(plain, ours(nil))
		stopped = append(stopped, ours(stop))
	}
	for name, took := range map[string][]time.Duration{"os/exec": control, "plain": plain, "stopped": stopped} {
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "µs/"+name)
	}
}

func BenchmarkNewStopper(b *testing.B) {
	for b.Loop() {
		require.NoError(b, canStop())
	}
}

// noMemfd sees what a system says that forbids executable memory files. The
// setting is that of its pid namespace.
func noMemfd(to string) {
	if err := os.WriteFile("/proc/sys/vm/memfd_noexec", []byte("2"), 0); err != nil {
		_ = os.WriteFile(to, []byte("skip "+err.Error()), 0o600)
		return
	}
	err := canStop()
	c, _ := code.Of(err)
	_ = os.WriteFile(to, fmt.Appendf(nil, "%s %v %v", c, errors.Is(err, unix.EACCES), err), 0o600)
}

func TestForbiddenMemoryFilesAreNamed(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("a pid namespace of its own needs root")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	to := filepath.Join(t.TempDir(), "report")
	// Only where Go has raised the limit of open files is one needed, to learn what
	// the limit was.
	cmd := exec.Command("/bin/sh", "-c", `ulimit -Sn 256; exec "$0"`, self)
	cmd.Env = []string{"PROCESS_TEST=nomemfd", "REPORT=" + to}
	cmd.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
	if err := cmd.Run(); errors.Is(err, unix.EPERM) {
		t.Skip("no pid namespace can be made here: ", err)
	}
	said, err := os.ReadFile(to)
	require.NoError(t, err)
	if strings.HasPrefix(string(said), "skip ") {
		t.Skip("no such setting here: ", string(said))
	}
	require.Contains(t, string(said), "binding_unavailable true")
	require.Contains(t, string(said), "vm.memfd_noexec")
}
