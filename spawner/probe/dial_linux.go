package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/code"
)

// Dial connects to the stream socket that stands at path. A link, or anything
// else than a socket, is a final error, and the socket that was looked at is the
// one that is connected to.
//
// Nothing there, nobody listening and a full backlog wrap [ErrNotYet], as does
// ctx's deadline; a cancelled ctx is its error. All else is an [*Error].
func Dial(ctx context.Context, path string) (net.Conn, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, dialError(ctx, path, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, dialError(ctx, path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return nil, fail(code.PeerMismatch, fmt.Errorf("what stands at %s is no socket (file type %#o)", shown(path), st.Mode&unix.S_IFMT))
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", "/proc/self/fd/"+strconv.Itoa(fd))
	if err != nil {
		return nil, dialError(ctx, path, err)
	}
	return conn, nil
}

func dialError(ctx context.Context, path string, err error) error {
	var cause error = err
	var errno unix.Errno
	if errors.As(err, &errno) {
		cause = errno // the rest names a descriptor of ours
	}
	what := "connect to " + shown(path)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("%s: %w", what, ctx.Err())
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ECONNREFUSED), errors.Is(err, unix.EAGAIN),
		errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: %w: %w", what, ErrNotYet, cause)
	}
	return fail(code.PeerMismatch, fmt.Errorf("%s: %w", what, cause))
}
