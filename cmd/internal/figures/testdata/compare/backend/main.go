// Command backend is one program for all ways of starting it: a plugin of
// go-plugin when it is started as one, else a backend of spawnward.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/spawnward/spawnward/cmd/internal/figures/testdata/compare/handshake"
	"github.com/spawnward/spawnward/spawner/backend"
)

type nothing struct{ plugin.NetRPCUnsupportedPlugin }

func (nothing) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error { return nil }
func (nothing) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil
}

func main() {
	if os.Getenv(handshake.Config.MagicCookieKey) == handshake.Config.MagicCookieValue {
		plugin.Serve(&plugin.ServeConfig{
			HandshakeConfig: handshake.Config,
			Plugins:         map[string]plugin.Plugin{"nothing": nothing{}},
			GRPCServer:      plugin.DefaultGRPCServer,
		})
		return
	}
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serve answers spawnward's probe; without a launcher it listens on the path it
// was given, as the control has it.
func serve() error {
	var l net.Listener
	var err error
	if len(os.Args) > 1 {
		l, err = net.Listen("unix", os.Args[1])
	} else {
		l, err = backend.Listen()
	}
	if err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		}()
	}
}
