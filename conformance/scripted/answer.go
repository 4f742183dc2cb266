package scripted

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"

	"github.com/spawnward/spawnward/spawner/wire"
)

func framed(body []byte) ([]byte, error) {
	var out bytes.Buffer
	err := wire.WriteFrame(&out, body, wire.MaxFrame)
	return out.Bytes(), err
}

// answer serves probes with a twist until ctx ends, or dies by errDie.
func answer(ctx context.Context, listener net.Listener, t twist, identity *wire.DaemonProcess) error {
	return accept(ctx, listener, func(conn net.Conn) error {
		question, err := ask(conn)
		if err != nil {
			return nil // not a probe
		}
		body, err := twisted(t, identity, question)
		if err != nil {
			return err
		}
		if t.send != nil {
			err = t.send(ctx, conn, body)
		} else {
			err = wire.WriteFrame(conn, body, wire.MaxFrame)
		}
		if errors.Is(err, errDie) {
			return err
		}
		return nil // the other side may leave at any time
	})
}

// ask reads a question.
func ask(conn net.Conn) (*wire.Frame, error) {
	body, err := wire.ReadFrame(conn, wire.MaxFrame)
	if err != nil {
		return nil, err
	}
	var question wire.Frame
	err = question.Unmarshal(body)
	if err == nil && (question.PayloadProtocol != wire.ProtocolIdentity || len(question.Payload) != wire.NonceSize) {
		err = errors.New("not a probe")
	}
	return &question, err
}

// echo gives back what arrives, as a backend's own protocol.
func echo(conn net.Conn) error {
	io.Copy(conn, conn)
	return nil
}

// discard is a server that knows nothing of probes and says nothing.
func discard(conn net.Conn) error {
	io.Copy(io.Discard, conn)
	return nil
}

// accept handles connections side by side until ctx ends, which is no error, or
// one of them returns an error.
func accept(ctx context.Context, listener net.Listener, handle func(net.Conn) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var handlers sync.WaitGroup
	defer handlers.Wait()
	context.AfterFunc(ctx, func() { listener.Close() })
	for {
		conn, err := listener.Accept()
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
				return nil
			}
			return err
		}
		handlers.Go(func() {
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			if err := handle(conn); err != nil {
				cancel(err)
			}
		})
	}
}
