package backend

import (
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/spawnward/spawnward/spawner/wire"
)

// waitingForAccept is how many connections may wait for the author's Accept
// before the rest is left in the kernel's backlog.
const waitingForAccept = 128

// Listener is a [net.Listener] for the author's connections, which answers
// identity probes by itself. Safe for concurrent use.
type Listener struct {
	given    Given
	identity []byte // encoded
	patience time.Duration
	pending  int

	inner    *net.UnixListener
	accepted chan accepted
	slots    chan struct{} // one for every connection that is held here
	closed   chan struct{}
	close    func() error
	running  sync.WaitGroup

	mu       sync.Mutex
	sniffing []*net.UnixConn // oldest first
}

type accepted struct {
	conn net.Conn
	err  error
}

func (o Options) listen(given Given, identity *wire.DaemonProcess) (*Listener, error) {
	encoded, err := identity.Marshal()
	if err != nil {
		return nil, fmt.Errorf("encode the identity of %q: %w", identity.ExePath, err)
	}
	inner, err := listenUnix(given.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("listen on the endpoint %q: %w", given.Endpoint, err)
	}
	l := &Listener{
		given: given, identity: encoded, inner: inner,
		patience: o.Patience, pending: o.Pending,
		accepted: make(chan accepted), closed: make(chan struct{}),
	}
	if l.patience <= 0 {
		l.patience = DefaultPatience
	}
	if l.pending <= 0 {
		l.pending = DefaultPending
	}
	l.slots = make(chan struct{}, l.pending+waitingForAccept)
	l.close = sync.OnceValue(l.shut)
	l.running.Go(l.loop)
	return l, nil
}

// Given is what the broker told this process.
func (l *Listener) Given() Given { return l.given }

// Addr is the endpoint.
func (l *Listener) Addr() net.Addr { return l.inner.Addr() }

// Accept returns the next connection that is the author's, always a
// [*net.UnixConn]. After Close the error is [net.ErrClosed].
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case a := <-l.accepted:
		return a.conn, a.err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close stops listening, removes the socket and drops the connections that
// Accept has not returned. Those that it has are the author's.
func (l *Listener) Close() error { return l.close() }

func (l *Listener) shut() error {
	close(l.closed)
	err := l.inner.Close()
	l.mu.Lock()
	for _, conn := range l.sniffing {
		conn.Close()
	}
	l.mu.Unlock()
	l.running.Wait()
	return err
}

// loop takes connections from the kernel until Close. Other failures, such as
// too many open files, are for the author's Accept, as with any listener.
func (l *Listener) loop() {
	for {
		select {
		case l.slots <- struct{}{}:
		case <-l.closed:
			return
		}
		conn, err := l.inner.AcceptUnix()
		if err != nil {
			<-l.slots
			if !l.hand(accepted{err: err}) {
				return
			}
			continue
		}
		l.enter(conn)
		l.running.Go(func() { l.serve(conn) })
	}
}

func (l *Listener) serve(conn *net.UnixConn) {
	defer func() { <-l.slots }()
	authors := l.sniff(conn)
	l.leave(conn)
	if authors {
		conn.SetDeadline(time.Time{})
		authors = l.hand(accepted{conn: conn})
	}
	if !authors {
		conn.Close()
	}
}

// sniff answers the probes on a connection. It reports whether the rest is the
// author's; if not, the connection is done with.
func (l *Listener) sniff(conn *net.UnixConn) bool {
	head := make([]byte, wire.HeaderSize+maxQuestion)
	for {
		switch peek(conn, head) {
		case authors:
			return true
		case asks:
			if err := l.answer(conn, head); err != nil {
				return false
			}
		default:
			return false
		}
	}
}

// hand gives a result to Accept; it reports whether there was one before Close.
func (l *Listener) hand(a accepted) bool {
	select {
	case l.accepted <- a:
		return true
	case <-l.closed:
		return false
	}
}

// enter notes a connection as silent so far. When there are too many, the
// oldest has been patient enough.
func (l *Listener) enter(conn *net.UnixConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	conn.SetDeadline(time.Now().Add(l.patience))
	l.sniffing = append(l.sniffing, conn)
	if over := len(l.sniffing) - l.pending; over > 0 {
		for _, oldest := range l.sniffing[:over] {
			oldest.SetReadDeadline(time.Unix(1, 0))
		}
	}
	select {
	case <-l.closed: // Close has been through the list already
		conn.Close()
	default:
	}
}

// leave undoes enter: from here on nobody touches the connection's deadline.
func (l *Listener) leave(conn *net.UnixConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sniffing = slices.DeleteFunc(l.sniffing, func(c *net.UnixConn) bool { return c == conn })
}
