package measure

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// failing gives an error after some bytes.
type failing struct{ after int64 }

func (f failing) ReadAt(p []byte, at int64) (int, error) {
	if at+int64(len(p)) > f.after {
		return int(max(0, f.after-at)), errors.New("input/output error")
	}
	return len(p), nil
}

// scanty never fills a buffer.
type scanty struct{ r io.ReaderAt }

func (s scanty) ReadAt(p []byte, at int64) (int, error) { return s.r.ReadAt(p[:(len(p)+1)/2], at) }

func TestSHA256(t *testing.T) {
	text := bytes.Repeat([]byte("0123456789abcdef"), chunk/8)
	for _, size := range []int{0, 1, chunk, len(text) - 1, len(text)} {
		sum, err := SHA256(t.Context(), bytes.NewReader(text), int64(size))
		require.NoError(t, err)
		require.Equal(t, sha256.Sum256(text[:size]), sum)
		sum, err = SHA256(t.Context(), scanty{bytes.NewReader(text)}, int64(size))
		require.NoError(t, err)
		require.Equal(t, sha256.Sum256(text[:size]), sum)
	}
	_, err := SHA256(t.Context(), bytes.NewReader(text), int64(len(text))+1)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, err = SHA256(t.Context(), failing{chunk + 5}, 2*chunk)
	require.ErrorContains(t, err, "input/output error")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = SHA256(ctx, bytes.NewReader(text), 1)
	require.ErrorIs(t, err, context.Canceled)
}

// The golden values are the output of the Python package blake3 1.0.11, which
// wraps the algorithm's reference implementation:
//
//	python3 -c 'import blake3; print(blake3.blake3(b"x"*N).hexdigest())'
func TestBLAKE3(t *testing.T) {
	for size, want := range map[int]string{
		0:      "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
		1:      "3ae7d805f6789a6402acb70ad4096a85a56bf6804eaf25c0493ac697548d30b5",
		1024:   "71c7a224be567fb9acd2c32f87359835322cf9241b9c01f247fff2b4bdabf644",
		1025:   "71b7ce25ca2144dcf4d7ed561d8a526bb7f7adaf8d10a124540d82bf113678c9",
		262144: "388eb171008b5c630b20ab8b6687fa5665005802c70c82c84832276c8cee8163",
		786449: "5b355b4991adc2271f2c4f3e0c3b8ffd1b08eae86bacf66d044a5b7498ae9d88",
	} {
		data := bytes.Repeat([]byte("x"), size)
		sum, err := sumBLAKE3(t.Context(), bytes.NewReader(data), int64(size))
		require.NoError(t, err)
		require.Equal(t, want, hex.EncodeToString(sum[:]))
		_, err = sumBLAKE3(t.Context(), bytes.NewReader(data), int64(size)+1)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	}
}
