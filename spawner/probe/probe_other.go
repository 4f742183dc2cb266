//go:build !linux

package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"

	"github.com/spawnward/spawnward/spawner/code"
)

// VerifyPeer is there on Linux only.
func VerifyPeer(conn net.Conn, pid, pidfd int) error { return unsupported("peer proof") }

// Dial is there on Linux only.
func Dial(ctx context.Context, path string) (net.Conn, error) {
	return nil, unsupported("connecting to a backend")
}

func unsupported(what string) error {
	return fail(code.Unsupported, fmt.Errorf("%s on %s: %w", what, runtime.GOOS, errors.ErrUnsupported))
}
