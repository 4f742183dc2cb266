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

// Notifications is there on Linux only.
type Notifications struct{}

// ListenNotify is there on Linux only.
func ListenNotify(path string) (*Notifications, error) {
	return nil, unsupported("the readiness socket")
}

// Next is there on Linux only.
func (n *Notifications) Next(ctx context.Context, pid, pidfd int) (Notice, error) {
	return Notice{}, unsupported("the readiness socket")
}

// Rest is there on Linux only.
func (n *Notifications) Rest(pid, pidfd int) []Notice { return nil }

// Ignored is there on Linux only.
func (n *Notifications) Ignored() Ignored { return Ignored{} }

// Close is there on Linux only.
func (n *Notifications) Close() error { return unsupported("the readiness socket") }

func unsupported(what string) error {
	return fail(code.Unsupported, fmt.Errorf("%s on %s: %w", what, runtime.GOOS, errors.ErrUnsupported))
}
