//go:build !linux

package backend

import (
	"errors"
	"fmt"
	"net"
	"runtime"

	"github.com/spawnward/spawnward/spawner/wire"
)

// Identity is there on Linux only.
func Identity(given Given) (*wire.DaemonProcess, error) { return nil, unsupported() }

func listenUnix(path string) (*net.UnixListener, error) { return nil, unsupported() }

func peek(conn *net.UnixConn, head []byte) kind { return gone }

func take(conn *net.UnixConn, b []byte) error { return unsupported() }

func unsupported() error {
	return fmt.Errorf("backends on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
