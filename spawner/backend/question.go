package backend

import (
	"encoding/binary"
	"errors"
	"net"

	"github.com/spawnward/spawnward/spawner/wire"
)

// maxQuestion bounds the body of a probe: a nonce and two trace fields.
const maxQuestion = 4096

// kind says what the beginning of a connection is.
type kind int

const (
	gone      kind = iota // the other side has left, or the connection failed
	undecided             // more bytes are needed
	authors
	asks // a probe
)

// classify judges the first bytes of a connection.
func classify(head []byte) kind {
	if len(head) == 0 {
		return undecided
	}
	if head[0] != wire.FramingVersion {
		return authors
	}
	if len(head) < wire.HeaderSize {
		return undecided
	}
	size := binary.LittleEndian.Uint32(head[1:])
	if size > maxQuestion {
		return authors
	}
	body := head[wire.HeaderSize:]
	if len(body) < int(size) {
		return undecided
	}
	var frame wire.Frame
	if frame.Unmarshal(body[:size]) != nil || frame.PayloadProtocol != wire.ProtocolIdentity {
		return authors
	}
	return asks
}

// errQuestion is the fault of a frame that is a probe by its protocol only. The
// contract has no answer for it.
var errQuestion = errors.New("not a valid probe")

// answer takes the question that stands at the beginning of head, and of the
// connection, and answers it.
func (l *Listener) answer(conn *net.UnixConn, head []byte) error {
	size := binary.LittleEndian.Uint32(head[1:wire.HeaderSize])
	question := head[:wire.HeaderSize+int(size)]
	if err := take(conn, question); err != nil {
		return err
	}
	reply, err := Answer(question[wire.HeaderSize:], l.identity)
	if err != nil {
		return err
	}
	return wire.WriteFrame(conn, reply, wire.MaxFrame)
}

// Answer makes the body of the frame that answers a probe: body is that of the
// question and identity an encoded [wire.DaemonProcess]. [Listener] does this by
// itself; it is for programs that have a listener of their own.
func Answer(body, identity []byte) ([]byte, error) {
	var question wire.Frame
	if err := question.Unmarshal(body); err != nil {
		return nil, errQuestion
	}
	if question.EnvelopeVersion != wire.EnvelopeVersion ||
		question.Kind != wire.KindRequest ||
		question.PayloadProtocol != wire.ProtocolIdentity ||
		question.PayloadEncoding != wire.EncodingNone ||
		len(question.Payload) != wire.NonceSize {
		return nil, errQuestion
	}
	reply := wire.Frame{
		EnvelopeVersion: wire.EnvelopeVersion,
		Kind:            wire.KindResponse,
		PayloadProtocol: wire.ProtocolIdentity,
		Payload:         append(question.Payload, identity...),
		RequestID:       question.RequestID,
		Traceparent:     question.Traceparent,
		Tracestate:      question.Tracestate,
	}
	return reply.Marshal()
}
