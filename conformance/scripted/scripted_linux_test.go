package scripted

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/probe"
	"github.com/spawnward/spawnward/spawner/wire"
)

// playEnv makes the test binary the scripted backend.
const playEnv = "SPAWNWARD_SCRIPTED_TEST_PLAY"

func TestMain(m *testing.M) {
	if os.Getenv(playEnv) != "" {
		os.Exit(Run(context.Background(), os.Args[1:], Stdio{Out: os.Stdout, Err: os.Stderr}))
	}
	os.Exit(m.Run())
}

// launched is a part that was started.
type launched struct {
	cmd    *exec.Cmd
	pidfd  int
	path   string
	pids   string
	stderr bytes.Buffer
	wait   func() error
}

func start(t *testing.T, args ...string) *launched {
	dir := t.TempDir()
	b := &launched{path: filepath.Join(dir, "s"), pids: filepath.Join(dir, "pids")}
	b.cmd = exec.Command("/proc/self/exe", append(args, "--pids="+b.pids)...)
	b.cmd.Env = []string{
		playEnv + "=1", wire.EnvBackendPipe + "=" + b.path, wire.EnvBackendNamespace + "=shared",
		wire.EnvServiceName + "=demo", wire.EnvServiceVersion + "=1.2.3",
	}
	stderr, err := os.Create(filepath.Join(dir, "stderr"))
	require.NoError(t, err)
	b.cmd.Stderr = stderr // a file, so that waiting does not wait for copies
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	require.NoError(t, b.cmd.Start())
	stderr.Close()
	b.pidfd, err = unix.PidfdOpen(b.cmd.Process.Pid, 0)
	require.NoError(t, err)
	b.wait = sync.OnceValue(func() error {
		err := b.cmd.Wait()
		text, _ := os.ReadFile(stderr.Name())
		b.stderr.Write(text)
		return err
	})
	t.Cleanup(func() {
		b.cmd.Process.Kill()
		b.wait()
		b.endCopies(t)
		unix.Close(b.pidfd)
	})
	return b
}

// roles reads which processes there were.
func (b *launched) roles(t *testing.T) map[string]int {
	roles := map[string]int{}
	text, err := os.ReadFile(b.pids)
	if errors.Is(err, os.ErrNotExist) {
		return roles
	}
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		name, pid, _ := strings.Cut(strings.TrimSpace(line), " ")
		roles[name], err = strconv.Atoi(pid)
		require.NoError(t, err)
	}
	return roles
}

// endCopies kills what is left, if it is the test binary.
func (b *launched) endCopies(t *testing.T) {
	self, err := os.Readlink("/proc/self/exe")
	require.NoError(t, err)
	for _, pid := range b.roles(t) {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		if exe, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe"); err == nil && exe == self && pid != os.Getpid() {
			unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		}
		unix.Close(fd)
	}
}

// eventually calls f until it gives something else than ErrNotYet.
func eventually(t *testing.T, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		err := f(ctx)
		if !errors.Is(err, probe.ErrNotYet) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("in the end: %w", err)
		}
	}
}

func (b *launched) dial(t *testing.T) net.Conn {
	var conn net.Conn
	require.NoError(t, eventually(t, func(ctx context.Context) (err error) {
		conn, err = probe.Dial(ctx, b.path)
		return err
	}))
	t.Cleanup(func() { conn.Close() })
	return conn
}

var readSelf = sync.OnceValues(func() ([]byte, error) { return os.ReadFile("/proc/self/exe") })

func (b *launched) expect(t *testing.T, pid int) probe.Expectation {
	self, err := readSelf()
	require.NoError(t, err)
	exe, err := os.Readlink("/proc/self/exe")
	require.NoError(t, err)
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	require.NoError(t, err)
	return probe.Expectation{
		PID: pid, ExePath: exe, SHA256: sha256.Sum256(self), BootID: strings.TrimSpace(string(boot)),
		Namespace: "shared", Path: b.path,
		BLAKE3: func() (d [32]byte, err error) { d[0] = 1; return d, nil },
	}
}

// ask probes once the socket is there.
func (b *launched) ask(t *testing.T, pid int) error {
	return probe.Identity(t.Context(), b.dial(t), b.expect(t, pid), admission.Trace{})
}

func (b *launched) peer(t *testing.T) error {
	return probe.VerifyPeer(b.dial(t), b.cmd.Process.Pid, b.pidfd)
}

func requireCode(t *testing.T, want code.Code, err error) {
	t.Helper()
	got, ok := code.Of(err)
	require.True(t, ok, "%v", err)
	require.Equal(t, want, got, "%v", err)
}

func TestTwists(t *testing.T) {
	want := map[string]code.Code{
		"wrong-pid": code.ProbePID, "wrong-path": code.ProbeExePath, "wrong-digest": code.ProbeDigest,
		"wrong-boot-id": code.ProbeBootID, "wrong-endpoint": code.ProbeEndpoint, "wrong-namespace": code.ProbeEndpoint,
		"no-endpoint": code.ProbeEndpointMissing, "short-digest": code.ProbeDigestLength,
		"wrong-blake3": code.ProbeDigest, "wrong-hash-algorithm": code.ProbeDigest,
		"wrong-nonce": code.ProbeNonce, "wrong-request-id": code.ProbeRequestID, "wrong-version": code.ProbeVersion,
		"wrong-kind": code.ProbeKind, "wrong-encoding": code.ProbeEncoding, "wrong-protocol": code.ProbeProtocol,
		"short-payload": code.ProbePayload, "bad-identity": code.ProbeIdentity,
		"bad-framing": code.ProbeFrame, "bad-message": code.ProbeFrame, "truncated": code.ProbeFrame,
		"oversize": code.ProbeFrame, "close-early": code.ProbeFrame, "die-during-probe": code.ProbeFrame,
		"slow-drip": "", // late, not wrong
	}
	for name := range twists() {
		require.Contains(t, want, name)
	}
	for name, c := range want {
		t.Run(name, func(t *testing.T) {
			b := start(t, name)
			err := b.ask(t, b.cmd.Process.Pid)
			if c == "" {
				require.ErrorIs(t, err, probe.ErrNotYet)
			} else {
				requireCode(t, c, err)
			}
			if name == "die-during-probe" {
				b.wait()
				require.Equal(t, statusDied, b.cmd.ProcessState.ExitCode())
			}
		})
	}
}

func TestGoodOnes(t *testing.T) {
	for _, part := range []string{"good", "late:20ms", "ignore-term", "leave-child", "leave-child-session"} {
		t.Run(part, func(t *testing.T) {
			b := start(t, part)
			require.NoError(t, b.ask(t, b.cmd.Process.Pid))
			require.NoError(t, b.peer(t))
			conn := b.dial(t)
			_, err := conn.Write([]byte("hello"))
			require.NoError(t, err)
			got := make([]byte, 5)
			_, err = io.ReadFull(conn, got)
			require.NoError(t, err)
			require.Equal(t, "hello", string(got))
		})
	}
}

func TestTerminate(t *testing.T) {
	for _, part := range []string{"good", "never", "wrong-pid", "peer-good"} {
		t.Run(part, func(t *testing.T) {
			b := start(t, part)
			if part == "never" {
				require.NoError(t, b.waitFor(t, part))
			} else {
				b.dial(t)
			}
			require.NoError(t, b.cmd.Process.Signal(syscall.SIGTERM))
			err := b.wait()
			if part == "never" && err != nil { // the signal came before its handler
				require.Equal(t, syscall.SIGTERM, b.cmd.ProcessState.Sys().(syscall.WaitStatus).Signal())
			} else {
				require.NoError(t, err, b.stderr.String())
			}
			_, err = os.Lstat(b.path)
			require.ErrorIs(t, err, os.ErrNotExist)
		})
	}
	t.Run("ignore-term", func(t *testing.T) {
		b := start(t, "ignore-term")
		b.dial(t)
		require.NoError(t, b.cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, b.ask(t, b.cmd.Process.Pid))
	})
}

func TestExit(t *testing.T) {
	b := start(t, "exit:23")
	require.Error(t, b.wait())
	require.Equal(t, 23, b.cmd.ProcessState.ExitCode())
	require.Contains(t, b.stderr.String(), "status 23 as told")
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"nonsense"}, {"good", "--nonsense"}, {copyServe}, {"exit:x"}} {
		b := start(t, args...)
		require.Error(t, b.wait())
		require.Equal(t, statusUsage, b.cmd.ProcessState.ExitCode(), b.stderr.String())
	}
}

// waitFor waits until a process of that role exists.
func (b *launched) waitFor(t *testing.T, role string) error {
	return eventually(t, func(context.Context) error {
		if b.roles(t)[role] == 0 {
			return probe.ErrNotYet
		}
		return nil
	})
}

func TestForking(t *testing.T) {
	t.Run("fork-exit", func(t *testing.T) {
		b := start(t, "fork-exit")
		require.NoError(t, b.wait(), b.stderr.String())
		requireCode(t, code.PeerMismatch, b.peer(t))
		requireCode(t, code.ProbePID, b.ask(t, b.cmd.Process.Pid))
		require.NoError(t, b.ask(t, b.roles(t)[copyServe]))
	})
	t.Run("double-fork", func(t *testing.T) {
		b := start(t, "double-fork")
		require.NoError(t, b.wait(), b.stderr.String())
		requireCode(t, code.PeerMismatch, b.peer(t))
		serving := b.roles(t)[copyServe]
		require.NoError(t, b.ask(t, serving))
		session, err := unix.Getsid(serving)
		require.NoError(t, err)
		require.Equal(t, b.roles(t)[copyFork], session)
	})
	t.Run("listen-daemonise", func(t *testing.T) {
		b := start(t, "listen-daemonise")
		require.NoError(t, b.wait(), b.stderr.String())
		requireCode(t, code.ProbePID, b.ask(t, b.cmd.Process.Pid))
		require.NoError(t, b.ask(t, b.roles(t)[copyServe]))
	})
	t.Run("peer-daemonise", func(t *testing.T) {
		b := start(t, "peer-daemonise:1h")
		require.NoError(t, b.peer(t)) // the naive check is satisfied
		require.NoError(t, b.waitFor(t, copyDiscard))
		require.NoError(t, b.cmd.Process.Kill())
		require.Error(t, b.wait())
		_, err := b.dial(t).Write([]byte("still there"))
		require.NoError(t, err)
	})
	t.Run("squat", func(t *testing.T) {
		b := start(t, "squat")
		require.NoError(t, b.ask(t, b.cmd.Process.Pid)) // its lie is perfect
		requireCode(t, code.PeerMismatch, b.peer(t))
	})
	t.Run("peer-worker", func(t *testing.T) {
		b := start(t, "peer-worker")
		require.NoError(t, b.peer(t))
		require.NoError(t, b.waitFor(t, copyDiscard))
	})
	for _, part := range []string{"leave-child", "leave-child-session"} {
		t.Run(part, func(t *testing.T) {
			b := start(t, part)
			require.NoError(t, b.waitFor(t, copyLinger))
			left := b.roles(t)[copyLinger]
			session, err := unix.Getsid(left)
			require.NoError(t, err)
			require.Equal(t, part == "leave-child", session == b.cmd.Process.Pid)
		})
	}
}

func TestEndpointOption(t *testing.T) {
	for _, part := range []string{"good", "wrong-pid", "peer-good", "peer-worker"} {
		t.Run(part, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "elsewhere")
			b := start(t, part, "--endpoint="+path)
			b.path = path
			require.NoError(t, b.peer(t))
		})
	}
}

func TestPrint(t *testing.T) {
	out := filepath.Join(t.TempDir(), "report")
	b := start(t, "print", "--out="+out)
	require.NoError(t, b.ask(t, b.cmd.Process.Pid))
	data, err := os.ReadFile(out)
	require.NoError(t, err)
	var r Report
	require.NoError(t, json.Unmarshal(data, &r))
	require.Equal(t, b.cmd.Args, r.Args)
	require.Equal(t, b.cmd.Env, r.Environ)
	require.Equal(t, b.cmd.Process.Pid, r.PID)
	require.Equal(t, b.cmd.Process.Pid, r.Session)
	require.Equal(t, b.cmd.Process.Pid, r.Group)
	require.Equal(t, os.Getpid(), r.PPID)
	require.Zero(t, r.TTY)
	require.Equal(t, "exe", r.Comm)
	require.Contains(t, r.Status, "Umask")
	require.Contains(t, r.Status, "NoNewPrivs")
	dir, err := os.Getwd()
	require.NoError(t, err)
	require.Equal(t, dir, r.Dir)
	require.Equal(t, "/dev/null", r.Descriptors[0])
	require.Equal(t, filepath.Join(filepath.Dir(b.path), "stderr"), r.Descriptors[2])
	ours, err := descriptors() // whoever ran the test may have left it some
	require.NoError(t, err)
	for fd, target := range r.Descriptors {
		require.True(t, fd <= 2 || strings.HasPrefix(target, "anon_inode:") || ours[fd] == target, "%d %s", fd, target)
	}
}
