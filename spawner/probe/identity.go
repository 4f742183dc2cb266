package probe

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/wire"
)

// Expectation is what an answer must state.
type Expectation struct {
	PID int
	// ExePath is the canonical path of the executable and SHA256 its digest.
	ExePath string
	SHA256  [wire.DigestSize]byte
	BootID  string
	// Namespace and Path are the endpoint.
	Namespace, Path string
	// BLAKE3 gives the second digest of the same file. It is called at most once,
	// and only when the answer states one.
	BLAKE3 func() ([wire.DigestSize]byte, error)
}

// Identity asks once, on a connection that is fresh, and compares the answer
// with what is expected. The connection is the caller's to close and of no
// further use. The attempt ends at ctx's deadline, and after [AttemptTimeout] at
// the latest.
//
// A difference, and an answer that is malformed or cut short, is an [*Error]. An
// answer that did not come in time wraps [ErrNotYet] and
// [os.ErrDeadlineExceeded]. A cancelled ctx is its error.
func Identity(ctx context.Context, conn net.Conn, expect Expectation, trace admission.Trace) error {
	var nonce [wire.NonceSize]byte
	rand.Read(nonce[:]) // never fails: the process ends when there is no randomness
	body, err := exchange(ctx, conn, request(nonce, trace))
	if err != nil {
		return err
	}
	return Check(body, nonce, expect)
}

// request is the question for one nonce.
func request(nonce [wire.NonceSize]byte, trace admission.Trace) *wire.Frame {
	return &wire.Frame{
		EnvelopeVersion: wire.EnvelopeVersion,
		Kind:            wire.KindRequest,
		PayloadProtocol: wire.ProtocolIdentity,
		Payload:         nonce[:],
		RequestID:       requestID(nonce),
		Traceparent:     trace.Traceparent,
		Tracestate:      trace.Tracestate,
	}
}

// requestID is the number that ties an answer to its nonce.
func requestID(nonce [wire.NonceSize]byte) uint64 {
	return binary.LittleEndian.Uint64(nonce[:8])
}

// exchange sends the question and returns the body of the answering frame.
func exchange(ctx context.Context, conn net.Conn, question *wire.Frame) ([]byte, error) {
	deadline := time.Now().Add(AttemptTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, fail(code.ProbeFrame, err)
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	raw, err := question.Marshal()
	if err != nil {
		return nil, fail(code.ProbeFrame, fmt.Errorf("encode the question: %w", err))
	}
	if err := wire.WriteFrame(conn, raw, wire.MaxFrame); err != nil {
		return nil, exchangeError(ctx, "ask", err)
	}
	body, err := wire.ReadFrame(conn, wire.MaxFrame)
	if err != nil {
		return nil, exchangeError(ctx, "read the answer", err)
	}
	return body, nil
}

// exchangeError tells a late answer from a wrong one.
func exchangeError(ctx context.Context, what string, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("%s: %w", what, ctx.Err())
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%s: %w: %w", what, ErrNotYet, err)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return fail(code.ProbeFrame, fmt.Errorf("%s: the backend closed the connection without an answer: %w", what, err))
	}
	return fail(code.ProbeFrame, fmt.Errorf("%s: %w", what, err))
}
