package probe_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/probe"
)

func selfPidfd(t *testing.T) int {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func openDescriptors(t *testing.T) int {
	all, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(all)
}

func TestNotifications(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	n, err := probe.ListenNotify(path)
	require.NoError(t, err)
	self := selfPidfd(t)
	sock, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(sock)
	to := &unix.SockaddrUnix{Name: path}
	send := func(text string, fds ...int) {
		var rights []byte
		if len(fds) > 0 {
			rights = unix.UnixRights(fds...)
		}
		require.NoError(t, unix.Sendmsg(sock, []byte(text), rights, to, 0))
	}
	before := openDescriptors(t)

	many := make([]int, 253)
	for i := range many {
		many[i] = self
	}
	send("FDSTORE=1", many...)
	got, err := n.Next(t.Context(), os.Getpid(), self)
	require.NoError(t, err)
	require.Equal(t, probe.Notice{}, got)
	require.Equal(t, before, openDescriptors(t), "what came along is closed")

	send("STATUS="+strings.Repeat("x", 2*probe.MaxNotice), self)
	send("")
	send("READY=1")
	got, err = n.Next(t.Context(), os.Getpid(), self)
	require.NoError(t, err)
	require.Equal(t, probe.Notice{Ready: true}, got)
	require.Equal(t, probe.Ignored{Malformed: 2}, n.Ignored())

	// Another process's messages count for nothing, whatever comes along.
	stranger := exec.Command("sleep", "1000")
	require.NoError(t, stranger.Start())
	defer stranger.Wait()
	defer stranger.Process.Kill()
	fd, err := unix.PidfdOpen(stranger.Process.Pid, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	send("READY=1", self, self)
	send("READY=1")
	require.Empty(t, n.Rest(stranger.Process.Pid, fd))
	require.Equal(t, probe.Ignored{Foreign: 2, LastPID: os.Getpid(), Malformed: 2}, n.Ignored())

	// The right number with the wrong process is a stranger too, where the kernel
	// can tell.
	send("READY=1")
	rest := n.Rest(os.Getpid(), fd)
	if unix.SetsockoptInt(sock, unix.SOL_SOCKET, unix.SO_PASSPIDFD, 1) == nil {
		require.Empty(t, rest)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	send("READY=1")
	_, err = n.Next(ctx, os.Getpid(), self)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, []probe.Notice{{Ready: true}}, n.Rest(os.Getpid(), self), "and can be had later")

	_, err = probe.ListenNotify(path)
	require.ErrorIs(t, err, unix.EADDRINUSE)
	require.NoError(t, n.Close())
	require.NoFileExists(t, path)
}
