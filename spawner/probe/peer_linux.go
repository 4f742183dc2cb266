// Linux: SO_PEERCRED says which process called listen on the socket that a
// connection reached (all kernels). SO_PEERPIDFD gives that process by pidfd:
// Linux 6.5, ENOPROTOOPT before: there the number has to be that of the pidfd
// still. A pidfd has an inode of its own, unique until the next boot, since
// pidfs: Linux 6.9. In between, two pidfds are compared by the number that fdinfo
// shows, which is -1 for a process that was reaped.

package probe

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/code"
)

// soPeerPIDFD is not in the system package yet. It has this number on every
// architecture that Go runs on.
const soPeerPIDFD = 77

// VerifyPeer proves that the process which listens at the other end of a
// connected Unix socket is the one with the number pid that the caller holds by
// pidfd. A server's workers may have taken the connection; what counts is who
// called listen. Another process is an [*Error] with the code peer_mismatch
// that names both. A process that has ended meanwhile is [ErrPeerGone] on some
// kernels and still itself on others: ask its pidfd afterwards.
func VerifyPeer(conn net.Conn, pid, pidfd int) error {
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		return fail(code.PeerMismatch, fmt.Errorf("a connection of type %T has no peer credentials", conn))
	}
	raw, err := unixConn.SyscallConn()
	if err != nil {
		return fail(code.PeerMismatch, err)
	}
	var verdict error
	if err := raw.Control(func(fd uintptr) { verdict = verifySocket(int(fd), pid, pidfd) }); err != nil {
		return fail(code.PeerMismatch, err)
	}
	return verdict
}

func verifySocket(socket, pid, pidfd int) error {
	peer, err := unix.GetsockoptUcred(socket, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return fail(code.PeerMismatch, fmt.Errorf("read SO_PEERCRED: %w", err))
	}
	if int(peer.Pid) != pid {
		return differs(code.PeerMismatch, process(pid), process(int(peer.Pid)))
	}
	other, err := unix.GetsockoptInt(socket, unix.SOL_SOCKET, soPeerPIDFD)
	switch {
	case errors.Is(err, unix.ENOPROTOOPT):
		return verifyNumber(pid, pidfd)
	case errors.Is(err, unix.ESRCH), errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENODATA):
		return fail(code.PeerMismatch, fmt.Errorf("process %d: %w", pid, ErrPeerGone))
	case err != nil:
		return fail(code.PeerMismatch, fmt.Errorf("read SO_PEERPIDFD: %w", err))
	}
	defer unix.Close(other)
	same, err := sameProcess(pidfd, other)
	if err != nil {
		return fail(code.PeerMismatch, fmt.Errorf("compare the listener with process %d: %w", pid, err))
	}
	if !same {
		return differs(code.PeerMismatch, "process "+strconv.Itoa(pid), "another process that had the same number")
	}
	return nil
}

// verifyNumber proves that the process that is held has the number now. That
// of the listener is a number only: who listened under it before, and left the
// socket to somebody, is not told apart.
func verifyNumber(pid, pidfd int) error {
	now, err := pidOf(pidfd)
	switch {
	case err != nil:
		return fail(code.PeerMismatch, fmt.Errorf("compare the listener with process %d: %w", pid, err))
	case now <= 0:
		return fail(code.PeerMismatch, fmt.Errorf("process %d: %w", pid, ErrPeerGone))
	case now != pid:
		return differs(code.PeerMismatch, "process "+strconv.Itoa(now), "process "+strconv.Itoa(pid))
	}
	return nil
}

// sameProcess reports whether two pidfds are of one process.
func sameProcess(a, b int) (bool, error) {
	inodeA, okA, err := pidfsInode(a)
	if err != nil {
		return false, err
	}
	inodeB, okB, err := pidfsInode(b)
	if err != nil {
		return false, err
	}
	if okA && okB {
		return inodeA == inodeB, nil
	}
	return sameNumber(a, b)
}

// sameNumber compares what two pidfds show of their processes. Both are held
// open, so that a number which both show now is of one process.
func sameNumber(a, b int) (bool, error) {
	pidA, err := pidOf(a)
	if err != nil {
		return false, err
	}
	pidB, err := pidOf(b)
	return pidA > 0 && pidA == pidB, err
}

// pidfsInode gives the inode of a pidfd, if the kernel gives each its own.
func pidfsInode(pidfd int) (inode uint64, ok bool, err error) {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(pidfd, &fs); err != nil {
		return 0, false, fmt.Errorf("fstatfs of a pidfd: %w", err)
	}
	if fs.Type != unix.PID_FS_MAGIC {
		return 0, false, nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(pidfd, &st); err != nil {
		return 0, false, fmt.Errorf("fstat of a pidfd: %w", err)
	}
	return st.Ino, true, nil
}

// pidOf reads the number of the process that a pidfd holds; not positive when
// it was reaped or is not visible from here.
func pidOf(pidfd int) (int, error) {
	info, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(pidfd))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(info)) {
		if text, ok := strings.CutPrefix(line, "Pid:"); ok {
			return strconv.Atoi(strings.TrimSpace(text))
		}
	}
	return 0, fmt.Errorf("descriptor %d is no pidfd", pidfd)
}

// process names a process for people; the executable is only a help.
func process(pid int) string {
	text := "process " + strconv.Itoa(pid)
	if pid == 0 {
		return text + " (of another pid namespace)"
	}
	if exe, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe"); err == nil {
		text += " (" + shown(exe) + ")"
	}
	return text
}
