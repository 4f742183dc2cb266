package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"runtime"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// frame is one frame as a peer would write it, with a length of its choice.
func frame(version byte, size uint32, body ...byte) []byte {
	return append(binary.LittleEndian.AppendUint32([]byte{version}, size), body...)
}

func TestReadFrame(t *testing.T) {
	for name, c := range map[string]struct {
		in    []byte
		limit int
		body  []byte
		err   error
	}{
		"body":               {in: frame(1, 3, 7, 8, 9), limit: MaxFrame, body: []byte{7, 8, 9}},
		"empty body":         {in: frame(1, 0), limit: MaxFrame, body: []byte{}},
		"exactly the limit":  {in: frame(1, 2, 1, 2), limit: 2, body: []byte{1, 2}},
		"nothing":            {limit: MaxFrame, err: io.EOF},
		"version 0":          {in: frame(0, 0), limit: MaxFrame, err: &FramingError{Fault: BadVersion, Version: 0}},
		"version 2":          {in: []byte{2}, limit: MaxFrame, err: &FramingError{Fault: BadVersion, Version: 2}},
		"an http client":     {in: []byte("GET /"), limit: MaxFrame, err: &FramingError{Fault: BadVersion, Version: 'G'}},
		"header of one byte": {in: []byte{1}, limit: MaxFrame, err: &FramingError{Fault: Truncated, Size: 5, Got: 1}},
		"header cut short":   {in: []byte{1, 9, 0, 0}, limit: MaxFrame, err: &FramingError{Fault: Truncated, Size: 5, Got: 4}},
		"body missing":       {in: frame(1, 4), limit: MaxFrame, err: &FramingError{Fault: Truncated, Size: 4, Got: 0}},
		"body cut short":     {in: frame(1, 4, 1, 2), limit: MaxFrame, err: &FramingError{Fault: Truncated, Size: 4, Got: 2}},
		"one over the limit": {in: frame(1, 3, 1, 2, 3), limit: 2, err: &FramingError{Fault: Oversize, Size: 3, Limit: 2}},
		"one over any limit": {in: frame(1, MaxFrame+1), limit: 1 << 30, err: &FramingError{Fault: Oversize, Size: MaxFrame + 1, Limit: MaxFrame}},
		"the largest claim":  {in: frame(1, 1<<32-1), limit: MaxFrame, err: &FramingError{Fault: Oversize, Size: 1<<32 - 1, Limit: MaxFrame}},
		"a hello too large":  {in: frame(1, MaxHello+1), limit: MaxHello, err: &FramingError{Fault: Oversize, Size: MaxHello + 1, Limit: MaxHello}},
		"big-endian length":  {in: []byte{1, 0, 0, 0, 1, 9}, limit: MaxHello, err: &FramingError{Fault: Oversize, Size: 1 << 24, Limit: MaxHello}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, r := range []io.Reader{bytes.NewReader(c.in), iotest.OneByteReader(bytes.NewReader(c.in))} {
				body, err := ReadFrame(r, c.limit)
				require.Equal(t, c.err, err)
				require.Equal(t, c.body, body)
			}
		})
	}
}

func TestReadFrameTakesNoMoreThanTheFrame(t *testing.T) {
	r := bytes.NewReader(append(frame(1, 2, 1, 2), frame(1, 1, 3)...))
	first, err := ReadFrame(r, MaxFrame)
	require.NoError(t, err)
	require.Equal(t, []byte{1, 2}, first)
	second, err := ReadFrame(r, MaxFrame)
	require.NoError(t, err)
	require.Equal(t, []byte{3}, second)
	_, err = ReadFrame(r, MaxFrame)
	require.Equal(t, io.EOF, err)
}

func TestReadFrameKeepsTheReadersError(t *testing.T) {
	for _, arrived := range [][]byte{nil, {1}, {1, 4, 0, 0, 0}, {1, 4, 0, 0, 0, 9}} {
		_, err := ReadFrame(io.MultiReader(bytes.NewReader(arrived), iotest.ErrReader(os.ErrDeadlineExceeded)), MaxFrame)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.False(t, errors.As(err, new(*FramingError)))
	}
}

func TestReadFrameNeverAllocatesTheClaim(t *testing.T) {
	in := frame(1, MaxFrame, 1, 2, 3)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := ReadFrame(bytes.NewReader(in), MaxFrame)
	runtime.ReadMemStats(&after)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}

func TestWriteFrameLimit(t *testing.T) {
	var out bytes.Buffer
	err := WriteFrame(&out, make([]byte, MaxHello+1), MaxHello)
	require.Equal(t, &FramingError{Fault: Oversize, Size: MaxHello + 1, Limit: MaxHello}, err)
	require.Zero(t, out.Len())
	require.NoError(t, WriteFrame(&out, nil, MaxHello))
	require.Equal(t, []byte{1, 0, 0, 0, 0}, out.Bytes())
}

func TestFramingErrorText(t *testing.T) {
	require.EqualError(t, &FramingError{Fault: BadVersion, Version: 'G'}, "unsupported framing version 71, want 1")
	require.EqualError(t, &FramingError{Fault: Oversize, Size: 5, Limit: 4}, "frame of 5 bytes is larger than the limit of 4")
	require.EqualError(t, &FramingError{Fault: Truncated, Size: 5, Got: 4}, "frame ends after 4 of 5 bytes")
}

func FuzzReadFrame(f *testing.F) {
	f.Add(frame(1, 3, 1, 2, 3), 16)
	f.Add(frame(1, 0), 0)
	f.Add(frame(2, 0), 16)
	f.Add(frame(1, 1<<31), MaxFrame)
	f.Add([]byte{1, 1}, MaxFrame)
	f.Fuzz(func(t *testing.T, in []byte, limit int) {
		r := bytes.NewReader(in)
		body, err := ReadFrame(r, limit)
		if err != nil {
			require.Nil(t, body)
			require.True(t, errors.Is(err, io.EOF) || errors.As(err, new(*FramingError)), "%v", err)
			return
		}
		require.LessOrEqual(t, len(body), limit)
		var out bytes.Buffer
		require.NoError(t, WriteFrame(&out, body, limit))
		require.Equal(t, in[:len(in)-r.Len()], out.Bytes(), "writing gives the bytes that were read")
	})
}
