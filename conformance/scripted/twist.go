package scripted

import (
	"context"
	"errors"
	"net"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/spawnward/spawnward/spawner/wire"
)

// twist is what one part does wrong when it answers a probe; what is nil is done
// right.
type twist struct {
	identity func(*wire.DaemonProcess)
	// frame changes the finished answer.
	frame func(*wire.Frame)
	// send writes the answer's encoded frame message; it may write anything.
	send func(context.Context, net.Conn, []byte) error
}

// errDie ends the backend from within a twist.
var errDie = errors.New("dies as told")

// dripPause makes the smallest answer far later than any attempt's deadline.
const dripPause = 100 * time.Millisecond

func twists() map[string]twist {
	identity := func(f func(*wire.DaemonProcess)) twist { return twist{identity: f} }
	frame := func(f func(*wire.Frame)) twist { return twist{frame: f} }
	raw := func(b ...byte) twist {
		return twist{send: func(_ context.Context, c net.Conn, _ []byte) error { _, err := c.Write(b); return err }}
	}
	return map[string]twist{
		"wrong-pid":       identity(func(d *wire.DaemonProcess) { d.Pid++ }),
		"wrong-path":      identity(func(d *wire.DaemonProcess) { d.ExePath += ".other" }),
		"wrong-digest":    identity(func(d *wire.DaemonProcess) { d.ExeSha256[0] ^= 1 }),
		"wrong-boot-id":   identity(func(d *wire.DaemonProcess) { d.BootId = "00000000-0000-0000-0000-000000000000" }),
		"wrong-endpoint":  identity(func(d *wire.DaemonProcess) { d.IpcEndpoint.Path += ".other" }),
		"wrong-namespace": identity(func(d *wire.DaemonProcess) { d.IpcEndpoint.NamespaceId += "x" }),
		"no-endpoint":     identity(func(d *wire.DaemonProcess) { d.IpcEndpoint = nil }),
		"short-digest":    identity(func(d *wire.DaemonProcess) { d.ExeSha256 = d.ExeSha256[:31] }),
		"wrong-blake3": identity(func(d *wire.DaemonProcess) {
			d.ExeHashAlgorithm, d.ExeHash = wire.HashBLAKE3, make([]byte, wire.DigestSize)
		}),
		"wrong-hash-algorithm": identity(func(d *wire.DaemonProcess) {
			d.ExeHashAlgorithm, d.ExeHash = "md5", make([]byte, wire.DigestSize)
		}),

		"wrong-nonce":      frame(func(f *wire.Frame) { f.Payload[wire.NonceSize-1] ^= 1 }),
		"wrong-request-id": frame(func(f *wire.Frame) { f.RequestId++ }),
		"wrong-version":    frame(func(f *wire.Frame) { f.EnvelopeVersion = 2 }),
		"wrong-kind":       frame(func(f *wire.Frame) { f.Kind = wire.FrameKind_EVENT }),
		"wrong-encoding":   frame(func(f *wire.Frame) { f.PayloadEncoding = wire.PayloadEncoding_ZSTD }),
		"wrong-protocol":   frame(func(f *wire.Frame) { f.PayloadProtocol = wire.ProtocolAdmin }),
		"short-payload":    frame(func(f *wire.Frame) { f.Payload = f.Payload[:wire.NonceSize-1] }),
		"bad-identity":     frame(func(f *wire.Frame) { f.Payload = append(f.Payload, 0xff) }),

		"bad-framing":      raw(2, 0, 0, 0, 0),
		"bad-message":      raw(wire.FramingVersion, 1, 0, 0, 0, 0xff),
		"truncated":        raw(wire.FramingVersion, 64, 0, 0, 0, 8, 1),
		"oversize":         raw(wire.FramingVersion, 1, 0, 0, 1), // 16 MiB and one byte
		"close-early":      raw(),
		"slow-drip":        {send: drip},
		"die-during-probe": {send: func(context.Context, net.Conn, []byte) error { return errDie }},
	}
}

// drip writes the answer one byte at a time until the other side has had enough.
func drip(ctx context.Context, conn net.Conn, body []byte) error {
	pause := time.NewTicker(dripPause)
	defer pause.Stop()
	frame, err := framed(body)
	if err != nil {
		return err
	}
	for i := range frame {
		select {
		case <-pause.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if _, err := conn.Write(frame[i : i+1]); err != nil {
			return err
		}
	}
	return nil
}

// twisted makes the body of the answer to a question.
func twisted(t twist, identity *wire.DaemonProcess, question *wire.Frame) ([]byte, error) {
	stated := proto.Clone(identity).(*wire.DaemonProcess)
	if t.identity != nil {
		t.identity(stated)
	}
	encoded, err := proto.Marshal(stated)
	if err != nil {
		return nil, err
	}
	f := &wire.Frame{
		EnvelopeVersion: wire.EnvelopeVersion,
		Kind:            wire.FrameKind_RESPONSE,
		PayloadProtocol: wire.ProtocolIdentity,
		Payload:         append(append([]byte(nil), question.Payload...), encoded...),
		RequestId:       question.RequestId,
		Traceparent:     question.Traceparent,
		Tracestate:      question.Tracestate,
	}
	if t.frame != nil {
		t.frame(f)
	}
	return proto.Marshal(f)
}
