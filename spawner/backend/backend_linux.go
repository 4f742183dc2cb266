package backend

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/endpoint"
	"github.com/spawnward/spawnward/spawner/wire"
)

// selfExe leads to the running file even when its name is gone or taken.
const selfExe = "/proc/self/exe"

// Identity is what this process can say about itself, with the endpoint that it
// was given. The start time is that of the call. The digest is of the running
// file, whatever stands under its name by now.
func Identity(given Given) (*wire.DaemonProcess, error) {
	exe, err := os.Open(selfExe)
	if err != nil {
		return nil, fmt.Errorf("open the running executable: %w", err)
	}
	defer exe.Close()
	path, err := exePath(exe)
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	// The file's own way of copying would read half as much at a time.
	if _, err := io.CopyBuffer(sum, struct{ io.Reader }{exe}, make([]byte, 64<<10)); err != nil {
		return nil, fmt.Errorf("read the running executable: %w", err)
	}
	boot, err := endpoint.BootID()
	if err != nil {
		return nil, err
	}
	return &wire.DaemonProcess{
		PID:             uint32(os.Getpid()),
		ExePath:         path,
		ExeSHA256:       sum.Sum(nil),
		IPCEndpoint:     &wire.Endpoint{NamespaceID: given.Namespace, Path: given.Endpoint},
		StartedAtUnixMS: uint64(time.Now().UnixMilli()),
		BootID:          boot,
	}, nil
}

// exePath is the canonical path of the running file. The kernel marks a file
// whose name is gone; the mark is not part of the path, unless the file of that
// very name is the one that runs.
func exePath(exe *os.File) (string, error) {
	path, err := os.Readlink(selfExe)
	if err != nil {
		return "", fmt.Errorf("name the running executable: %w", err)
	}
	plain, marked := strings.CutSuffix(path, " (deleted)")
	if !marked {
		return path, nil
	}
	running, err := exe.Stat()
	if err != nil {
		return "", fmt.Errorf("name the running executable: %w", err)
	}
	if there, err := os.Lstat(path); err == nil && os.SameFile(there, running) {
		return path, nil
	}
	return plain, nil
}

// listenUnix gives the socket its mode before it has a name: bind takes the mode
// of the socket's own inode.
func listenUnix(path string) (*net.UnixListener, error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var chmod error
		err := raw.Control(func(fd uintptr) { chmod = unix.Fchmod(int(fd), 0o600) })
		return errors.Join(err, chmod)
	}}
	listener, err := config.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	return listener.(*net.UnixListener), nil
}

// peek waits until the beginning of a connection can be judged, and takes
// nothing from it; head receives the beginning. When the deadline comes first
// and what is there decides nothing, the connection is the author's. The system
// wakes a waiting reader for every arrival, so that an unfinished beginning is
// looked at once for each.
func peek(conn *net.UnixConn, head []byte) kind {
	raw, err := conn.SyscallConn()
	if err != nil {
		return gone
	}
	verdict := undecided
	look := func(fd uintptr) bool {
		verdict = peekOnce(int(fd), head)
		return verdict != undecided
	}
	err = raw.Read(look)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		if err != nil {
			return gone
		}
		return verdict
	}
	// A deadline that has passed before the first look hides what is there.
	if raw.Control(func(fd uintptr) { look(fd) }) != nil {
		return gone
	}
	if verdict == undecided {
		return authors
	}
	return verdict
}

func peekOnce(fd int, head []byte) kind {
	n, err := receive(fd, head, unix.MSG_PEEK)
	switch {
	case err == unix.EAGAIN:
		return undecided
	case err != nil || n == 0:
		return gone
	}
	return classify(head[:n])
}

// take removes len(b) bytes that peek has seen, whatever the deadline.
func take(conn *net.UnixConn, b []byte) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var failure error
	err = raw.Control(func(fd uintptr) {
		for len(b) > 0 {
			n, err := receive(int(fd), b, 0)
			if err != nil || n == 0 {
				failure = errors.Join(io.ErrUnexpectedEOF, err)
				return
			}
			b = b[n:]
		}
	})
	return errors.Join(err, failure)
}

func receive(fd int, b []byte, flags int) (int, error) {
	for {
		n, _, err := unix.Recvfrom(fd, b, flags|unix.MSG_DONTWAIT)
		if err != unix.EINTR {
			return n, err
		}
	}
}
