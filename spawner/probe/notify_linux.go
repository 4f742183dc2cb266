// Linux: SO_PASSCRED has the kernel write the sender's pid on every datagram (all
// kernels; only a privileged sender can state another one). SO_PASSPIDFD adds the
// sender itself as a pidfd: Linux 6.5, ENOPROTOOPT before.

package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/fault"
)

// Notifications is the socket on which one process says that it is ready. It is
// for one user at a time.
type Notifications struct {
	conn *net.UnixConn
	path string
	seen Ignored
}

// control is room for everything that can come along with a datagram: credentials,
// a security label, a pidfd and 253 descriptors (SCM_MAX_FD).
const control = 4096

// ListenNotify makes the socket at path, which must be free and in a directory
// that only the user can enter. Errors have the code state_failed.
func ListenNotify(path string) (*Notifications, error) {
	failed := func(err error) error { return code.New("make the readiness socket "+path, code.StateFailed, err) }
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		if cerr := raw.Control(func(fd uintptr) { err = passSender(int(fd)) }); cerr != nil {
			return cerr
		}
		return err
	}}
	conn, err := config.ListenPacket(context.Background(), "unixgram", path)
	if err != nil {
		return nil, failed(err)
	}
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(failed(fmt.Errorf("it is a %T", conn)), conn.Close())
	}
	return &Notifications{conn: unixConn, path: path}, nil
}

// passSender is in force before the socket has a name, so that no datagram comes
// without its sender.
func passSender(fd int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
		return fmt.Errorf("set SO_PASSCRED: %w", err)
	}
	err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSPIDFD, 1)
	if err != nil && !errors.Is(err, unix.ENOPROTOOPT) {
		return fmt.Errorf("set SO_PASSPIDFD: %w", err)
	}
	return nil
}

// Ignored tells what had no effect so far.
func (n *Notifications) Ignored() Ignored { return n.seen }

// Close ends listening and removes the socket's name.
func (n *Notifications) Close() error {
	err := os.Remove(n.path)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, n.conn.Close())
}

// Next waits for the next message of the process with the number pid that the
// caller holds by pidfd and that is alive or its own unreaped child. Messages of
// others are counted and have no effect, and every descriptor that comes along is
// closed, which is also what a barrier waits for. The end of ctx is its error.
func (n *Notifications) Next(ctx context.Context, pid, pidfd int) (Notice, error) {
	if err := ctx.Err(); err != nil {
		return Notice{}, err
	}
	if err := n.conn.SetReadDeadline(time.Time{}); err != nil {
		return Notice{}, err
	}
	late := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { defer close(late); n.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer func() {
		if !stop() {
			<-late // no deadline comes upon what reads next
		}
	}()
	for {
		notice, ok, err := n.receive(true, pid, pidfd)
		switch {
		case ok:
			return notice, nil // what was read is never lost
		case ctx.Err() != nil:
			return Notice{}, ctx.Err()
		case err != nil:
			return Notice{}, fmt.Errorf("read the readiness socket: %w", err)
		}
	}
}

// Rest reads what is still queued without waiting: the last messages of a process
// that has ended. It reads no more than a queue can hold by default.
func (n *Notifications) Rest(pid, pidfd int) []Notice {
	if n.conn.SetReadDeadline(time.Time{}) != nil {
		return nil
	}
	var all []Notice
	for range 16 {
		notice, ok, err := n.receive(false, pid, pidfd)
		if err != nil {
			break
		}
		if ok {
			all = append(all, notice)
		}
	}
	return all
}

// receive reads one datagram; ok is false when it has no effect.
func (n *Notifications) receive(wait bool, pid, pidfd int) (notice Notice, ok bool, err error) {
	raw, err := n.conn.SyscallConn()
	if err != nil {
		return Notice{}, false, err
	}
	buf, oob := make([]byte, MaxNotice), make([]byte, control)
	var size, oobSize, flags int
	cerr := raw.Read(func(fd uintptr) bool {
		for {
			size, oobSize, flags, _, err = unix.Recvmsg(int(fd), buf, oob, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
			if !errors.Is(err, unix.EINTR) {
				return !wait || !errors.Is(err, unix.EAGAIN)
			}
		}
	})
	if err := errors.Join(cerr, err); err != nil {
		return Notice{}, false, err
	}
	sender, genuine := n.sender(oob[:oobSize], pid, pidfd)
	if !genuine {
		n.seen.Foreign++
		n.seen.LastPID = sender
		return Notice{}, false, nil
	}
	if flags&unix.MSG_TRUNC == 0 {
		notice, ok = ParseNotice(buf[:size])
	}
	if !ok {
		n.seen.Malformed++
	}
	return notice, ok, nil
}

// sender tells who sent a datagram and whether that is the process. It closes
// every descriptor that came along.
func (n *Notifications) sender(oob []byte, pid, pidfd int) (from int, genuine bool) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0, false
	}
	same := true
	for i := range messages {
		m := &messages[i]
		switch {
		case m.Header.Level != unix.SOL_SOCKET:
		case m.Header.Type == unix.SCM_CREDENTIALS:
			if cred, err := unix.ParseUnixCredentials(m); err == nil {
				from = int(cred.Pid)
			}
		case m.Header.Type == unix.SCM_PIDFD, m.Header.Type == unix.SCM_RIGHTS:
			// Both hold descriptors as their data; a pidfd that could not be made
			// is a negative number.
			fds, err := unix.ParseUnixRights(&unix.SocketControlMessage{
				Header: unix.Cmsghdr{Level: unix.SOL_SOCKET, Type: unix.SCM_RIGHTS}, Data: m.Data})
			for _, fd := range fds {
				if m.Header.Type == unix.SCM_PIDFD {
					ok, serr := sameProcess(pidfd, fd)
					same = same && err == nil && serr == nil && ok
				}
				if fd >= 0 {
					_ = unix.Close(fd) // somebody else's file: nothing of ours can be lost
				}
			}
		}
	}
	return from, from == pid && same || fault.Mutant("accept-any-notifier")
}
