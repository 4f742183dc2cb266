// Package backend is what a backend needs to be launched by a broker of this
// protocol and to prove its identity, in about ten lines of the author's:
//
//	listener, err := backend.Listen()
//	if err != nil {
//		return err
//	}
//	defer listener.Close()
//	return server.Serve(listener) // any server that takes a net.Listener
//
// The identity probe arrives on the same socket as the author's own protocol. A
// connection that opens with a probe is answered here and never seen by the
// author; every other one comes out of [Listener.Accept] as the [*net.UnixConn]
// that it is, with not one byte (and no passed descriptor) taken from it.
//
// To know the two apart a connection is held until its first bytes are there,
// at most [Options.Patience]. Clients that speak first notice nothing. Where
// the server speaks first, each client waits that long for the greeting; set a
// patience of some 20 ms there, which is ample for a prober: it writes as soon
// as it is connected. The same wait meets a protocol whose opening looks like
// the unfinished head of a frame: a byte 1 and a little-endian length of at
// most 4096.
//
// The socket has mode 0600 from its first moment. Idle timeouts are stated, not
// enforced. Works on Linux (any kernel); elsewhere [Listen] fails with an error
// that wraps errors.ErrUnsupported.
package backend

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spawnward/spawnward/spawner/wire"
)

// ErrNotLaunched says that this process was not started by a broker: the
// variables that would tell it where to listen are not set.
var ErrNotLaunched = errors.New("not launched by a broker")

// Given is what the broker told this process.
type Given struct {
	Service string // name of the service
	Version string // version that was asked for
	// Endpoint is the path of the socket to listen on, Namespace the instance
	// namespace that it belongs to.
	Endpoint, Namespace string
	Instance            string // broker instance id
	// Traceparent and Tracestate are the W3C trace context; "" when there is none.
	Traceparent, Tracestate string
}

// Environment reads what the broker told this process. Without it the error
// wraps [ErrNotLaunched].
func Environment() (Given, error) {
	g := Given{
		Service:     os.Getenv(wire.EnvServiceName),
		Version:     os.Getenv(wire.EnvServiceVersion),
		Endpoint:    os.Getenv(wire.EnvBackendPipe),
		Namespace:   os.Getenv(wire.EnvBackendNamespace),
		Instance:    os.Getenv(wire.EnvInstance),
		Traceparent: os.Getenv(wire.EnvTraceparent),
		Tracestate:  os.Getenv(wire.EnvTracestate),
	}
	switch {
	case g.Endpoint == "":
		return Given{}, fmt.Errorf("%w: %s is not set; start this program through its broker", ErrNotLaunched, wire.EnvBackendPipe)
	case g.Namespace == "":
		return Given{}, fmt.Errorf("%s is set but %s is not; the broker must set both", wire.EnvBackendPipe, wire.EnvBackendNamespace)
	}
	return g, nil
}

// Defaults of [Options].
const (
	// DefaultPatience is as long as a prober waits for its answer.
	DefaultPatience = 500 * time.Millisecond
	// DefaultPending is the default of [Options.Pending].
	DefaultPending = 64
)

// Options adjust a listener. The zero value is right for protocols in which the
// client speaks first.
type Options struct {
	// Patience is how long a connection may stay silent, or in the middle of
	// what could be a probe, until it is the author's; 0 is [DefaultPatience].
	Patience time.Duration
	// Pending is how many connections may be in that state. One more, and the
	// oldest becomes the author's at once. 0 is [DefaultPending].
	Pending int
	// IdleTimeout is stated in the identity, in whole seconds, rounded up; 0
	// states none. Ending after that time is the author's to do.
	IdleTimeout time.Duration
}

// Listen listens where the broker said, with default options.
func Listen() (*Listener, error) { return Options{}.Listen() }

// Listen listens where the broker said and answers probes from then on. Before
// that it reads its own executable once, for the digest. A path that exists is
// an error; nothing is ever removed to make room.
func (o Options) Listen() (*Listener, error) {
	given, err := Environment()
	if err != nil {
		return nil, err
	}
	identity, err := Identity(given)
	if err != nil {
		return nil, err
	}
	if o.IdleTimeout > 0 {
		secs := uint32((o.IdleTimeout + time.Second - 1) / time.Second)
		identity.IdleTimeoutSecs = &secs
	}
	return o.listen(given, identity)
}
