//go:build amd64 || arm64

package wasm

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestMain lets the test binary play a worker, a launcher that is killed, and a
// worker that has been taken over.
func TestMain(m *testing.M) {
	worker := RunWorker()
	switch os.Getenv("PLAY") {
	case "launcher":
		launch(worker, command(loop()))
	case "good":
		launch(worker, says(goodReply))
	case "":
		os.Exit(m.Run())
	default:
		fmt.Println(escape(os.Getenv("PLAY")))
	}
}

// launch runs a guest and prints how that ended.
func launch(worker Worker, g guest) {
	m, err := Check(g.encode())
	if err == nil {
		_, err = Run(context.Background(), Hook{Name: "guest", Module: m}, Input{}, Options{Worker: worker, Deadline: MaxDeadline})
	}
	fmt.Println(err)
}

// escape tries something that a worker must not be able to do, and returns how
// it failed if that did not kill it.
func escape(how string) error {
	if how == "open behind Landlock" {
		runtime.LockOSThread()
		if err := denyFiles(); err != nil {
			return err
		}
		_, err := os.ReadFile("/etc/passwd")
		return err
	}
	if how == "open without descriptors" {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{}); err != nil {
			return err
		}
		_, file := unix.Open("/etc/passwd", unix.O_RDONLY, 0)
		_, socket := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		return fmt.Errorf("%w; %w", file, socket)
	}
	if err := restrict(job{seconds: 5}); err != nil {
		return fmt.Errorf("restrict: %w", err)
	}
	var err error
	switch how {
	case "nothing":
		return nil
	case "open":
		_, err = os.ReadFile("/etc/passwd")
	case "socket":
		_, err = net.Dial("udp", "127.0.0.1:9")
	case "exec":
		err = syscall.Exec("/bin/true", []string{"true"}, nil)
	case "fork":
		_, err = syscall.ForkExec("/bin/true", []string{"true"}, nil)
	case "kill":
		err = unix.Kill(os.Getppid(), 0)
	case "signal a thread elsewhere":
		err = unix.Tgkill(1, 1, 0)
	case "ptrace":
		err = unix.PtraceAttach(1)
	case "limits":
		err = unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 10, Max: 10})
	case "executable memory":
		_, err = unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_ANON|unix.MAP_PRIVATE)
	case "change protection":
		var page []byte
		if page, err = unix.Mmap(-1, 0, 4096, unix.PROT_READ, unix.MAP_ANON|unix.MAP_PRIVATE); err == nil {
			err = unix.Mprotect(page, unix.PROT_READ|unix.PROT_EXEC)
		}
	case "memory":
		_, err = unix.Mmap(-1, 0, workerMemory+1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	}
	return fmt.Errorf("%s: %w", how, err)
}

func play(t *testing.T, what string) *exec.Cmd {
	t.Helper()
	c := exec.Command("/proc/self/exe")
	c.Env = []string{"PLAY=" + what}
	return c
}

// TestTakenOverWorker is a guest that has broken out of the engine.
func TestTakenOverWorker(t *testing.T) {
	for _, how := range []string{"open", "socket", "exec", "fork", "kill", "signal a thread elsewhere", "ptrace", "limits", "executable memory", "change protection"} {
		out, err := play(t, how).Output()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, "%s: %s", how, out)
		require.Equal(t, unix.SIGSYS, exit.Sys().(syscall.WaitStatus).Signal(), "%s: %s", how, out)
	}
	out, err := play(t, "memory").Output()
	require.NoError(t, err)
	require.Equal(t, "memory: cannot allocate memory\n", string(out))
	out, err = play(t, "open without descriptors").Output()
	require.NoError(t, err)
	require.Equal(t, "too many open files; too many open files\n", string(out))
	out, err = play(t, "nothing").Output()
	require.NoError(t, err)
	require.Equal(t, "<nil>\n", string(out))
}

func TestLandlockAlone(t *testing.T) {
	_, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		t.Skip("this kernel has no Landlock")
	}
	out, err := play(t, "open behind Landlock").Output()
	require.NoError(t, err)
	require.Equal(t, "open /etc/passwd: permission denied\n", string(out))
}

// workerOf finds the worker of a process once it has restricted itself.
func workerOf(t *testing.T, pid int) string {
	t.Helper()
	var worker string
	require.Eventually(t, func() bool {
		lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
		for _, list := range lists {
			text, _ := os.ReadFile(list)
			for _, child := range strings.Fields(string(text)) {
				status, _ := os.ReadFile("/proc/" + child + "/status")
				name, _ := os.ReadFile("/proc/" + child + "/cmdline")
				if string(name) == workerName+"\x00" && strings.Contains(string(status), "Seccomp:\t2") {
					worker = child
					return true
				}
			}
		}
		return false
	}, 20*time.Second, time.Millisecond)
	return worker
}

// TestWorkerUnderLimits starts workers with limits that are lower than their own
// and that only root may raise.
func TestWorkerUnderLimits(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	for _, limit := range []string{"-t 1", "-c 0", "-n 64", "-v 2000000"} {
		c := exec.Command("bash", "-c", "ulimit "+limit+`; exec "$0"`, self)
		c.Env = []string{"PLAY=good"}
		out, err := c.CombinedOutput()
		require.NoError(t, err, "%s: %s", limit, out)
		require.Equal(t, "<nil>\n", string(out), limit)
	}
}

// TestWorkerIsNotDumped looks at whom the kernel gives the files of a worker in
// /proc: root, where neither a core file nor a debugger of its own user may have
// its memory.
func TestWorkerIsNotDumped(t *testing.T) {
	c := play(t, "launcher")
	if os.Geteuid() == 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	require.NoError(t, c.Start())
	var owner [2]unix.Stat_t
	require.NoError(t, unix.Stat("/proc/"+workerOf(t, c.Process.Pid)+"/environ", &owner[0]))
	require.NoError(t, unix.Stat(fmt.Sprintf("/proc/%d/environ", c.Process.Pid), &owner[1]))
	require.NoError(t, c.Process.Kill())
	require.Error(t, c.Wait())
	require.Zero(t, owner[0].Uid)
	require.NotZero(t, owner[1].Uid, "the launcher is an ordinary process")
}

func TestWorkerHasNothing(t *testing.T) {
	// A careless host leaves a descriptor to its children.
	leak, err := unix.Open("/etc/passwd", unix.O_RDONLY, 0)
	require.NoError(t, err)
	defer unix.Close(leak)
	for _, engine := range engines() {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := Run(ctx, hookOf(t, command(loop())), Input{}, Options{Worker: RunWorker(), Engine: engine, Deadline: MaxDeadline})
			done <- err
		}()
		dir := "/proc/" + workerOf(t, os.Getpid())
		if os.Geteuid() == 0 { // nobody else may look into a worker
			holdsNothing(t, dir)
		}
		tasks, err := filepath.Glob(dir + "/task/*/status")
		require.NoError(t, err)
		require.NotEmpty(t, tasks)
		for _, task := range tasks {
			status, err := os.ReadFile(task)
			if err != nil {
				continue // the thread has ended
			}
			require.Contains(t, string(status), "NoNewPrivs:\t1")
			require.Contains(t, string(status), "Seccomp:\t2")
		}
		limits, err := os.ReadFile(dir + "/limits")
		require.NoError(t, err)
		require.Regexp(t, `Max open files +0 +0`, string(limits))
		require.Regexp(t, `Max file size +0 +0`, string(limits))
		require.Regexp(t, `Max core file size +0 +0`, string(limits))
		require.Regexp(t, `Max cpu time +61 +61`, string(limits))
		require.Regexp(t, `Max address space +\d+ +\d+`, string(limits))
		cancel()
		require.ErrorContains(t, <-done, "context canceled")
		noneLeft(t)
	}
}

// holdsNothing looks at the environment and the descriptors of a worker.
func holdsNothing(t *testing.T, dir string) {
	t.Helper()
	environ, err := os.ReadFile(dir + "/environ")
	require.NoError(t, err)
	require.Empty(t, environ)
	fds, err := os.ReadDir(dir + "/fd")
	require.NoError(t, err)
	for _, fd := range fds {
		target, err := os.Readlink(dir + "/fd/" + fd.Name())
		require.NoError(t, err)
		if fd.Name() <= "2" && len(fd.Name()) == 1 {
			require.Contains(t, target, "pipe:")
			continue
		}
		require.Contains(t, []string{"anon_inode:[eventpoll]", "anon_inode:[eventfd]"}, target)
	}
}

func TestWorkerDiesWithItsLauncher(t *testing.T) {
	c := play(t, "launcher")
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	worker := workerOf(t, c.Process.Pid)
	var pid int
	_, err = fmt.Sscan(worker, &pid)
	require.NoError(t, err)
	fd, err := unix.PidfdOpen(pid, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	require.NoError(t, c.Process.Kill())
	line, _ := bufio.NewReader(out).ReadString('\n')
	require.Empty(t, line)
	require.Error(t, c.Wait())
	polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(polled, 20_000)
	require.NoError(t, err)
	require.Equal(t, 1, n, "the worker lives on")
}
