package probe

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/wire"
)

func digest(first byte) (d [32]byte) {
	for i := range d {
		d[i] = first + byte(i)
	}
	return d
}

func expected() Expectation {
	return Expectation{
		PID: 4242, ExePath: "/opt/demo/1.2.3/demo", SHA256: digest(0xe0),
		BootID: "6f1b0c52-3d4e-4f80-9a1b-2c3d4e5f6071", Namespace: "shared", Path: "/run/user/1000/b.sock",
		BLAKE3: func() ([32]byte, error) { return digest(0x80), nil },
	}
}

// golden reads a file of the wire package, see there for its making.
func golden(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("../wire/testdata/" + name + ".hex")
	require.NoError(t, err)
	raw, err := unhex(string(text))
	require.NoError(t, err)
	return raw
}

// unhex reads digits with white space between them, and comments.
func unhex(text string) ([]byte, error) {
	var digits strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			digits.WriteString(strings.Join(strings.Fields(line), ""))
		}
	}
	return hex.DecodeString(digits.String())
}

func TestGoldenAnswer(t *testing.T) {
	require.NoError(t, Check(golden(t, "probe_response"), digest(0x40), expected()))
}

func TestGoldenQuestion(t *testing.T) {
	raw, err := request(digest(0x40), admission.Trace{
		Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Tracestate: "a=1",
	}).Marshal()
	require.NoError(t, err)
	require.Equal(t, golden(t, "probe_request"), raw)
}

// answer is an answer to nonce(0x40) after a change.
func answer(t testing.TB, frame func(*wire.Frame), stated func(*wire.DaemonProcess)) []byte {
	d := &wire.DaemonProcess{}
	require.NoError(t, d.Unmarshal(golden(t, "daemon_process")))
	if stated != nil {
		stated(d)
	}
	raw, err := d.Marshal()
	require.NoError(t, err)
	nonce := digest(0x40)
	f := &wire.Frame{
		EnvelopeVersion: 1, Kind: wire.KindResponse, PayloadProtocol: wire.ProtocolIdentity,
		RequestID: requestID(nonce), Payload: append(nonce[:], raw...),
	}
	if frame != nil {
		frame(f)
	}
	body, err := f.Marshal()
	require.NoError(t, err)
	return body
}

func TestCheckFrame(t *testing.T) {
	for want, change := range map[code.Code]func(*wire.Frame){
		code.ProbeVersion:   func(f *wire.Frame) { f.EnvelopeVersion = 2 },
		code.ProbeKind:      func(f *wire.Frame) { f.Kind = wire.KindEvent },
		code.ProbeProtocol:  func(f *wire.Frame) { f.PayloadProtocol = wire.ProtocolAdmin },
		code.ProbeRequestID: func(f *wire.Frame) { f.RequestID++ },
		code.ProbeEncoding:  func(f *wire.Frame) { f.PayloadEncoding = wire.EncodingZSTD },
		code.ProbePayload:   func(f *wire.Frame) { f.Payload = f.Payload[:31] },
		code.ProbeNonce:     func(f *wire.Frame) { f.Payload[31] ^= 1 },
		code.ProbeIdentity:  func(f *wire.Frame) { f.Payload = append(f.Payload, 0xff) },
	} {
		t.Run(string(want), func(t *testing.T) {
			requireCode(t, want, Check(answer(t, change, nil), digest(0x40), expected()))
		})
	}
	t.Run("no message", func(t *testing.T) {
		requireCode(t, code.ProbeFrame, Check([]byte{0xff}, digest(0x40), expected()))
	})
	t.Run("empty body", func(t *testing.T) {
		requireCode(t, code.ProbeVersion, Check(nil, digest(0x40), expected()))
	})
	t.Run("nonce and nothing after it", func(t *testing.T) {
		bare := answer(t, func(f *wire.Frame) { f.Payload = f.Payload[:32] }, nil)
		requireCode(t, code.ProbeEndpointMissing, Check(bare, digest(0x40), expected()))
	})
}

func TestCheckIdentity(t *testing.T) {
	for name, c := range map[string]struct {
		want   code.Code
		change func(*wire.DaemonProcess)
	}{
		"no endpoint":      {code.ProbeEndpointMissing, func(d *wire.DaemonProcess) { d.IPCEndpoint = nil }},
		"no digest":        {code.ProbeDigestLength, func(d *wire.DaemonProcess) { d.ExeSHA256 = nil }},
		"short digest":     {code.ProbeDigestLength, func(d *wire.DaemonProcess) { d.ExeSHA256 = d.ExeSHA256[:31] }},
		"long digest":      {code.ProbeDigestLength, func(d *wire.DaemonProcess) { d.ExeSHA256 = append(d.ExeSHA256, 0) }},
		"pid":              {code.ProbePID, func(d *wire.DaemonProcess) { d.PID++ }},
		"pid 0":            {code.ProbePID, func(d *wire.DaemonProcess) { d.PID = 0 }},
		"pid out of range": {code.ProbePID, func(d *wire.DaemonProcess) { d.PID = 1<<32 - 1 }},
		"path":             {code.ProbeExePath, func(d *wire.DaemonProcess) { d.ExePath += "x" }},
		"digest":           {code.ProbeDigest, func(d *wire.DaemonProcess) { d.ExeSHA256[0] ^= 1 }},
		"boot id":          {code.ProbeBootID, func(d *wire.DaemonProcess) { d.BootID = "" }},
		"namespace":        {code.ProbeEndpoint, func(d *wire.DaemonProcess) { d.IPCEndpoint.NamespaceID = "private:demo" }},
		"endpoint path":    {code.ProbeEndpoint, func(d *wire.DaemonProcess) { d.IPCEndpoint.Path += "x" }},
		"start time and idle timeout are not compared": {"", func(d *wire.DaemonProcess) {
			d.StartedAtUnixMS, d.IdleTimeoutSecs = 1, new(uint32(99))
		}},
		// exe_hash_algorithm and exe_hash of newer peers
		"blake3 alone": {"", func(d *wire.DaemonProcess) { setBlake3(d, 0x80); d.ExeSHA256 = nil }},
		"blake3 alone, wrong": {code.ProbeDigest, func(d *wire.DaemonProcess) {
			setBlake3(d, 0x81)
			d.ExeSHA256 = nil
		}},
		"both equal":                 {"", func(d *wire.DaemonProcess) { setBlake3(d, 0x80) }},
		"both, blake3 wrong":         {code.ProbeDigest, func(d *wire.DaemonProcess) { setBlake3(d, 0x81) }},
		"both, sha256 wrong":         {code.ProbeDigest, func(d *wire.DaemonProcess) { setBlake3(d, 0x80); d.ExeSHA256[0] ^= 1 }},
		"blake3 short":               {code.ProbeDigestLength, func(d *wire.DaemonProcess) { setBlake3(d, 0x80); d.ExeHash = d.ExeHash[:31] }},
		"blake3 missing":             {code.ProbeDigestLength, func(d *wire.DaemonProcess) { setBlake3(d, 0x80); d.ExeHash = nil }},
		"blake3, sha256 short":       {code.ProbeDigestLength, func(d *wire.DaemonProcess) { setBlake3(d, 0x80); d.ExeSHA256 = d.ExeSHA256[:31] }},
		"unknown algorithm":          {code.ProbeDigest, func(d *wire.DaemonProcess) { setBlake3(d, 0x80); d.ExeHashAlgorithm = "md5" }},
		"unknown algorithm, alone":   {code.ProbeDigest, func(d *wire.DaemonProcess) { setBlake3(d, 0x80); d.ExeHashAlgorithm, d.ExeSHA256 = "md5", nil }},
		"hash without an algorithm":  {code.ProbeDigestLength, func(d *wire.DaemonProcess) { setBlake3(d, 0x80); d.ExeHashAlgorithm, d.ExeSHA256 = "", nil }},
		"the first difference names": {code.ProbePID, func(d *wire.DaemonProcess) { d.PID, d.ExePath, d.BootID = 1, "x", "x" }},
	} {
		t.Run(name, func(t *testing.T) {
			err := Check(answer(t, nil, c.change), digest(0x40), expected())
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			requireCode(t, c.want, err)
		})
	}
}

func setBlake3(d *wire.DaemonProcess, first byte) {
	h := digest(first)
	d.ExeHashAlgorithm, d.ExeHash = wire.HashBLAKE3, h[:]
}

func TestBlake3IsHashedOnlyWhenStated(t *testing.T) {
	calls := 0
	e := expected()
	e.BLAKE3 = func() ([32]byte, error) { calls++; return digest(0x80), io.ErrUnexpectedEOF }
	require.NoError(t, Check(answer(t, nil, nil), digest(0x40), e))
	require.Zero(t, calls)

	newer := answer(t, nil, func(d *wire.DaemonProcess) { setBlake3(d, 0x80) })
	err := Check(newer, digest(0x40), e)
	requireCode(t, code.MeasureFailed, err)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Equal(t, 1, calls)

	e.BLAKE3 = nil
	requireCode(t, code.ProbeDigest, Check(newer, digest(0x40), e))
}

func TestErrorsNeverShowRawBytes(t *testing.T) {
	err := Check(answer(t, nil, func(d *wire.DaemonProcess) {
		d.ExePath = "\x1b[2J\u202e" + strings.Repeat("a", 1<<20)
	}), digest(0x40), expected())
	requireCode(t, code.ProbeExePath, err)
	require.NotContains(t, err.Error(), "\x1b")
	require.Contains(t, err.Error(), `\x1b[2J\u202e`)
	require.Contains(t, err.Error(), `want "/opt/demo/1.2.3/demo"`)
	require.Less(t, len(err.Error()), 1024)
}

func requireCode(t testing.TB, want code.Code, err error) {
	t.Helper()
	var e *Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, want, e.Code(), "%v", err)
	require.NotErrorIs(t, err, ErrNotYet)
	_, known := code.Lookup(want)
	require.True(t, known)
}

// pair is a connected pair; the second end is a backend's.
func pair(t *testing.T) (prober, backend net.Conn) {
	prober, backend = net.Pipe()
	t.Cleanup(func() { prober.Close(); backend.Close() })
	return prober, backend
}

// identity runs Identity against a backend that reads the question and then
// does as it likes.
func identity(t *testing.T, ctx context.Context, play func(net.Conn, *wire.Frame)) error {
	prober, backend := pair(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		var question wire.Frame
		body, err := wire.ReadFrame(backend, wire.MaxFrame)
		if err == nil && question.Unmarshal(body) == nil {
			play(backend, &question)
		}
	}()
	err := Identity(ctx, prober, expected(), admission.Trace{Traceparent: "tp", Tracestate: "ts"})
	prober.Close()
	<-done
	return err
}

func TestIdentity(t *testing.T) {
	var seen [][]byte
	good := func(c net.Conn, q *wire.Frame) {
		seen = append(seen, q.Payload)
		nonce := [32]byte(q.Payload)
		if q.EnvelopeVersion != 1 || q.Kind != wire.KindRequest || q.PayloadProtocol != 0xB232 ||
			q.RequestID != requestID(nonce) || q.Traceparent != "tp" || q.Tracestate != "ts" {
			return
		}
		wire.WriteFrame(c, answer(t, func(f *wire.Frame) {
			copy(f.Payload, q.Payload)
			f.RequestID = q.RequestID
		}, nil), wire.MaxFrame)
	}
	require.NoError(t, identity(t, t.Context(), good))
	require.NoError(t, identity(t, t.Context(), good))
	require.False(t, bytes.Equal(seen[0], seen[1]), "every question has a nonce of its own")
}

func TestIdentityFinalFaults(t *testing.T) {
	for name, play := range map[string]func(net.Conn, *wire.Frame){
		"closes":         func(c net.Conn, _ *wire.Frame) { c.Close() },
		"closes midway":  func(c net.Conn, _ *wire.Frame) { c.Write([]byte{1, 9, 0, 0, 0, 7}); c.Close() },
		"framing byte":   func(c net.Conn, _ *wire.Frame) { c.Write([]byte("HTTP/1.1 400 Bad Request\r\n")) },
		"oversize claim": func(c net.Conn, _ *wire.Frame) { c.Write([]byte{1, 1, 0, 0, 1}) },
		"no message":     func(c net.Conn, _ *wire.Frame) { wire.WriteFrame(c, []byte{0xff}, wire.MaxFrame) },
	} {
		t.Run(name, func(t *testing.T) { requireCode(t, code.ProbeFrame, identity(t, t.Context(), play)) })
	}
	t.Run("an old answer", func(t *testing.T) {
		old := answer(t, nil, nil)
		requireCode(t, code.ProbeRequestID, identity(t, t.Context(), func(c net.Conn, _ *wire.Frame) {
			wire.WriteFrame(c, old, wire.MaxFrame)
		}))
	})
	t.Run("the question itself", func(t *testing.T) {
		requireCode(t, code.ProbeKind, identity(t, t.Context(), func(c net.Conn, q *wire.Frame) {
			raw, _ := q.Marshal()
			wire.WriteFrame(c, raw, wire.MaxFrame)
		}))
	})
}

func TestIdentityLate(t *testing.T) {
	silent := func(c net.Conn, _ *wire.Frame) { io.Copy(io.Discard, c) }
	t.Run("its own deadline", func(t *testing.T) {
		err := identity(t, t.Context(), silent)
		require.ErrorIs(t, err, ErrNotYet)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.False(t, errors.As(err, new(*Error)))
	})
	t.Run("the caller's deadline", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 1)
		defer cancel()
		prober, _ := pair(t)
		require.ErrorIs(t, Identity(ctx, prober, expected(), admission.Trace{}), ErrNotYet)
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		err := identity(t, ctx, func(c net.Conn, _ *wire.Frame) { cancel(); io.Copy(io.Discard, c) })
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, ErrNotYet)
	})
}

func FuzzCheck(f *testing.F) {
	f.Add(golden(f, "probe_response"))
	f.Add(golden(f, "probe_request"))
	f.Add(answer(f, nil, func(d *wire.DaemonProcess) { setBlake3(d, 0x80) }))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) {
		err := Check(body, digest(0x40), expected())
		if err == nil {
			require.True(t, bytes.Contains(body, []byte("/opt/demo/1.2.3/demo")))
			return
		}
		var e *Error
		require.ErrorAs(t, err, &e)
		_, known := code.Lookup(e.Code())
		require.True(t, known)
		require.Less(t, len(err.Error()), 4096)
		for _, r := range err.Error() {
			require.True(t, r == '…' || r >= ' ' && r < 0x7f, "%q", err.Error())
		}
	})
}
