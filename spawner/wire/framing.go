package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Limits on the body of a frame, in bytes.
const (
	// MaxFrame bounds every frame.
	MaxFrame = 16 << 20
	// MaxHello bounds a frame that carries a Hello.
	MaxHello = 64 << 10
)

// HeaderSize is the number of bytes before a frame's body: the framing version
// and the little-endian length of the body.
const HeaderSize = 1 + 4

// FramingFault is the kind of a [FramingError].
type FramingFault int

// The ways in which a frame can be wrong. After each of them the place in the
// stream is lost and the connection is of no further use.
const (
	// BadVersion: the first byte is not [FramingVersion].
	BadVersion FramingFault = iota + 1
	// Oversize: the body is, or claims to be, larger than the limit.
	Oversize
	// Truncated: the stream ended inside a frame.
	Truncated
)

// FramingError says what is wrong with a frame.
type FramingError struct {
	Fault FramingFault
	// Version is the framing byte of a BadVersion.
	Version byte
	// Size is the number of bytes that the header claims and Limit what was
	// allowed (Oversize), or Got what arrived of it (Truncated). In a header cut
	// short Size is [HeaderSize].
	Size, Limit, Got int64
}

// Error describes the fault.
func (e *FramingError) Error() string {
	switch e.Fault {
	case BadVersion:
		return "unsupported framing version " + strconv.Itoa(int(e.Version)) + ", want " + strconv.Itoa(FramingVersion)
	case Oversize:
		return fmt.Sprintf("frame of %d bytes is larger than the limit of %d", e.Size, e.Limit)
	case Truncated:
		return fmt.Sprintf("frame ends after %d of %d bytes", e.Got, e.Size)
	}
	return "bad frame"
}

// Unwrap gives [io.ErrUnexpectedEOF] for a truncated frame.
func (e *FramingError) Unwrap() error {
	if e.Fault == Truncated {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// WriteFrame writes one frame with a single call of w.Write. A body larger than
// limit is a [*FramingError] and nothing is written; errors of w are returned
// as they are.
func WriteFrame(w io.Writer, body []byte, limit int) error {
	if len(body) > min(limit, MaxFrame) {
		return &FramingError{Fault: Oversize, Size: int64(len(body)), Limit: int64(min(limit, MaxFrame))}
	}
	frame := make([]byte, HeaderSize, HeaderSize+len(body))
	frame[0] = FramingVersion
	binary.LittleEndian.PutUint32(frame[1:], uint32(len(body)))
	_, err := w.Write(append(frame, body...))
	return err
}

// ReadFrame reads one frame of at most limit bytes and returns its body, which
// may be empty. It takes exactly the frame's bytes from r, and never more
// memory than a small multiple of the bytes that have arrived, whatever the
// header claims.
//
// A stream that ends before the first byte is [io.EOF]; every other fault of the
// frame is a [*FramingError]. Errors of r, such as a deadline, are returned as
// they are.
func ReadFrame(r io.Reader, limit int) ([]byte, error) {
	var header [HeaderSize]byte
	if err := readHeader(r, header[:]); err != nil {
		return nil, err
	}
	size := int64(binary.LittleEndian.Uint32(header[1:]))
	if most := int64(min(limit, MaxFrame)); size > most {
		return nil, &FramingError{Fault: Oversize, Size: size, Limit: most}
	}
	var body bytes.Buffer
	got, err := body.ReadFrom(io.LimitReader(r, size))
	if err != nil {
		return nil, err
	}
	if got < size {
		return nil, &FramingError{Fault: Truncated, Size: size, Got: got}
	}
	return body.Bytes(), nil
}

// readHeader judges the framing byte before it asks for the rest, so that a
// peer that speaks something else is told at once.
func readHeader(r io.Reader, header []byte) error {
	if _, err := io.ReadFull(r, header[:1]); err != nil {
		return err
	}
	if header[0] != FramingVersion {
		return &FramingError{Fault: BadVersion, Version: header[0]}
	}
	n, err := io.ReadFull(r, header[1:])
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return &FramingError{Fault: Truncated, Size: HeaderSize, Got: int64(1 + n)}
	}
	return err
}
