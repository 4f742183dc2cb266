// Package probe proves who answers on an endpoint: by the nonce protocol of the
// broker, in which the backend states its identity, and by the credentials that
// the kernel keeps of a Unix socket's listener. Of a backend without either it
// takes systemd's readiness message, of which the kernel names the sender.
//
// Guarantees on Linux (5.9 or later): [Dial] connects to the very socket that
// stands at the path and follows no link; [VerifyPeer] compares the listener
// with a process held by pidfd, by number and, where the kernel tells
// (SO_PEERPIDFD, 6.5), by the process itself. Before 6.5 only the number is
// compared: the caller must know that its process still lived after the answer,
// and then the number was its own. [Identity] works on any connection and any
// system; what it proves is that the answer is fresh and states what was
// expected, not who sent it. [Notifications.Next] gives only messages of the one
// process, compared as a listener is (SO_PASSPIDFD, 6.5). On other systems [Dial],
// [VerifyPeer] and [ListenNotify] fail with an error that wraps
// errors.ErrUnsupported.
//
// The package makes one attempt at a time; waiting and trying again is the
// caller's.
package probe

import (
	"errors"
	"strconv"
	"time"

	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/fault"
)

// AttemptTimeout is the longest that one attempt may take, connecting included.
const AttemptTimeout = 500 * time.Millisecond

// ErrNotYet is wrapped by every error after which another attempt makes sense:
// nobody listens, or the answer did not come within the attempt's deadline.
var ErrNotYet = errors.New("not ready yet")

// ErrPeerGone is wrapped by a peer_mismatch when the process that called listen
// on the socket does not exist any more.
var ErrPeerGone = errors.New("the process that listened is gone")

// Error is a final failure: another attempt would fail in the same way.
type Error struct {
	// C names the check that failed.
	C code.Code
	// Want and Got are what was expected and what came, quoted and cut to a
	// bounded length so that they can be shown; both are empty when the check
	// compares nothing.
	Want, Got string
	// Err is the cause, or nil.
	Err error
}

// Error names the check, then what was wanted and what came, then the cause.
func (e *Error) Error() string {
	text := string(e.C)
	if e.Want != "" || e.Got != "" {
		text += ": got " + e.Got + ", want " + e.Want
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Code returns the stable code of the failed check.
func (e *Error) Code() code.Code { return e.C }

func fail(c code.Code, err error) error {
	if fault.Mutant("ignore-" + string(c)) {
		return nil
	}
	return &Error{C: c, Err: err}
}

func differs(c code.Code, want, got string) error {
	if fault.Mutant("ignore-" + string(c)) {
		return nil
	}
	return &Error{C: c, Want: want, Got: got}
}

// shownBytes bounds what is shown of one value from outside, before quoting.
const shownBytes = 128

// shown quotes a text for people: printable ASCII only, and of bounded length.
func shown(text string) string {
	if len(text) <= shownBytes {
		return strconv.QuoteToASCII(text)
	}
	return strconv.QuoteToASCII(text[:shownBytes]) + "… (" + strconv.Itoa(len(text)) + " bytes)"
}
