package probe

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/code"
)

// playEnv makes the test binary listen on descriptor 3 and then end, or wait
// until its standard input ends.
const playEnv = "SPAWNWARD_PROBE_TEST_PLAY"

func TestMain(m *testing.M) {
	switch os.Getenv(playEnv) {
	case "":
		os.Exit(m.Run())
	case "listen":
		if unix.Listen(3, 8) != nil {
			os.Exit(1)
		}
	case "answer":
		if unix.Listen(3, 4096) != nil || playAnswer() != nil {
			os.Exit(1)
		}
	}
	os.Stdout.WriteString("ready\n")
	os.Stdin.Read(make([]byte, 1))
}

// child starts the test binary with a bound socket and returns it once it
// listens; it ends when end is called.
func child(t testing.TB, path, play string) (cmd *exec.Cmd, end func()) {
	socket, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	require.NoError(t, unix.Bind(socket, &unix.SockaddrUnix{Name: path}))
	file := os.NewFile(uintptr(socket), path) // ours too: the socket outlives the child
	t.Cleanup(func() { file.Close() })
	cmd = exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), playEnv+"="+play)
	cmd.ExtraFiles = []*os.File{file}
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { in.Close() })
	_, err = out.Read(make([]byte, 16))
	require.NoError(t, err)
	return cmd, func() { in.Close(); cmd.Wait() }
}

func pidfd(t testing.TB, pid int) int {
	fd, err := unix.PidfdOpen(pid, 0)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func dial(t *testing.T, path string) net.Conn {
	conn, err := Dial(t.Context(), path)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestVerifyPeer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	cmd, end := child(t, path, "listen")
	pid := cmd.Process.Pid
	held, own := pidfd(t, pid), pidfd(t, os.Getpid())
	require.NoError(t, VerifyPeer(dial(t, path), pid, held))

	t.Run("another process listens", func(t *testing.T) {
		err := VerifyPeer(dial(t, path), os.Getpid(), own)
		requireCode(t, code.PeerMismatch, err)
		require.Contains(t, err.Error(), process(pid))
		require.Contains(t, err.Error(), process(os.Getpid()))
	})
	t.Run("same number, another process", func(t *testing.T) {
		requireCode(t, code.PeerMismatch, VerifyPeer(dial(t, path), pid, own))
	})
	t.Run("no pidfd", func(t *testing.T) {
		requireCode(t, code.PeerMismatch, VerifyPeer(dial(t, path), pid, -1))
	})
	t.Run("the listener ended, its socket did not", func(t *testing.T) {
		end()
		err := VerifyPeer(dial(t, path), pid, held)
		if err == nil { // this kernel still knows the dead one
			require.Error(t, unix.PidfdSendSignal(held, 0, nil, 0), "the caller sees that it is dead")
			return
		}
		requireCode(t, code.PeerMismatch, err)
		require.ErrorIs(t, err, ErrPeerGone)
	})
}

// What is left to ask where the kernel tells the listener by number only.
func TestVerifyNumber(t *testing.T) {
	cmd, end := child(t, filepath.Join(t.TempDir(), "s"), "wait")
	pid := cmd.Process.Pid
	held := pidfd(t, pid)
	require.NoError(t, verifyNumber(pid, held))
	requireCode(t, code.PeerMismatch, verifyNumber(pid, pidfd(t, os.Getpid())))
	requireCode(t, code.PeerMismatch, verifyNumber(pid, -1))
	end()
	err := verifyNumber(pid, held)
	requireCode(t, code.PeerMismatch, err)
	require.ErrorIs(t, err, ErrPeerGone)
}

func TestVerifyPeerNeedsAUnixSocket(t *testing.T) {
	prober, _ := pair(t)
	requireCode(t, code.PeerMismatch, VerifyPeer(prober, os.Getpid(), pidfd(t, os.Getpid())))
}

func TestSameProcess(t *testing.T) {
	cmd, end := child(t, filepath.Join(t.TempDir(), "s"), "wait")
	a, b, own := pidfd(t, cmd.Process.Pid), pidfd(t, cmd.Process.Pid), pidfd(t, os.Getpid())
	for _, compare := range []func(a, b int) (bool, error){sameProcess, sameNumber} {
		same, err := compare(a, b)
		require.NoError(t, err)
		require.True(t, same)
		same, err = compare(a, own)
		require.NoError(t, err)
		require.False(t, same)
	}
	pid, err := pidOf(a)
	require.NoError(t, err)
	require.Equal(t, cmd.Process.Pid, pid)
	end()
	pid, err = pidOf(a)
	require.NoError(t, err)
	require.Negative(t, pid)
	same, err := sameNumber(a, b)
	require.NoError(t, err)
	require.False(t, same, "a number that is gone equals nothing")
	_, err = pidOf(0)
	require.Error(t, err)
}

func TestDialNotYet(t *testing.T) {
	dir := t.TempDir()
	_, err := Dial(t.Context(), filepath.Join(dir, "none"))
	require.ErrorIs(t, err, ErrNotYet)
	require.ErrorIs(t, err, unix.ENOENT)

	bound := filepath.Join(dir, "bound")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	require.NoError(t, unix.Bind(fd, &unix.SockaddrUnix{Name: bound}))
	_, err = Dial(t.Context(), bound)
	require.ErrorIs(t, err, ErrNotYet)
	require.ErrorIs(t, err, unix.ECONNREFUSED)

	require.NoError(t, unix.Listen(fd, 0))
	dial(t, bound)
	_, err = Dial(t.Context(), bound) // backlog 0 holds one
	require.ErrorIs(t, err, ErrNotYet)
	require.ErrorIs(t, err, unix.EAGAIN)
	require.Contains(t, err.Error(), bound)
}

func TestDialFinal(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	listener, err := net.Listen("unix", socket)
	require.NoError(t, err)
	defer listener.Close()
	dial(t, socket)

	require.NoError(t, os.Symlink(socket, filepath.Join(dir, "link")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	require.NoError(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	packet, err := net.ListenPacket("unixgram", filepath.Join(dir, "packet"))
	require.NoError(t, err)
	defer packet.Close()
	for _, name := range []string{"link", "file", "fifo", "packet", ".", "file/s"} {
		t.Run(name, func(t *testing.T) {
			_, err := Dial(t.Context(), dir+"/"+name)
			requireCode(t, code.PeerMismatch, err)
		})
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Dial(ctx, socket)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, ErrNotYet)
}
