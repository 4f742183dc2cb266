package scripted

import (
	"context"
	"errors"
	"net"
	"time"

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
		"wrong-pid":       identity(func(d *wire.DaemonProcess) { d.PID++ }),
		"wrong-path":      identity(func(d *wire.DaemonProcess) { d.ExePath += ".other" }),
		"wrong-digest":    identity(func(d *wire.DaemonProcess) { d.ExeSHA256[0] ^= 1 }),
		"wrong-boot-id":   identity(func(d *wire.DaemonProcess) { d.BootID = "00000000-0000-0000-0000-000000000000" }),
		"wrong-endpoint":  identity(func(d *wire.DaemonProcess) { d.IPCEndpoint.Path += ".other" }),
		"wrong-namespace": identity(func(d *wire.DaemonProcess) { d.IPCEndpoint.NamespaceID += "x" }),
		"no-endpoint":     identity(func(d *wire.DaemonProcess) { d.IPCEndpoint = nil }),
		"short-digest":    identity(func(d *wire.DaemonProcess) { d.ExeSHA256 = d.ExeSHA256[:31] }),
		"wrong-blake3": identity(func(d *wire.DaemonProcess) {
			d.ExeHashAlgorithm, d.ExeHash = wire.HashBLAKE3, make([]byte, wire.DigestSize)
		}),
		"wrong-hash-algorithm": identity(func(d *wire.DaemonProcess) {
			d.ExeHashAlgorithm, d.ExeHash = "md5", make([]byte, wire.DigestSize)
		}),

		"wrong-nonce":      frame(func(f *wire.Frame) { f.Payload[wire.NonceSize-1] ^= 1 }),
		"wrong-request-id": frame(func(f *wire.Frame) { f.RequestID++ }),
		"wrong-version":    frame(func(f *wire.Frame) { f.EnvelopeVersion = 2 }),
		"wrong-kind":       frame(func(f *wire.Frame) { f.Kind = wire.KindEvent }),
		"wrong-encoding":   frame(func(f *wire.Frame) { f.PayloadEncoding = wire.EncodingZSTD }),
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
	raw, err := identity.Marshal()
	if err != nil {
		return nil, err
	}
	var stated wire.DaemonProcess // a copy
	if err := stated.Unmarshal(raw); err != nil {
		return nil, err
	}
	if t.identity != nil {
		t.identity(&stated)
	}
	encoded, err := stated.Marshal()
	if err != nil {
		return nil, err
	}
	f := &wire.Frame{
		EnvelopeVersion: wire.EnvelopeVersion,
		Kind:            wire.KindResponse,
		PayloadProtocol: wire.ProtocolIdentity,
		Payload:         append(append([]byte(nil), question.Payload...), encoded...),
		RequestID:       question.RequestID,
		Traceparent:     question.Traceparent,
		Tracestate:      question.Tracestate,
	}
	if t.frame != nil {
		t.frame(f)
	}
	return f.Marshal()
}
