package backend

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/probe"
	"github.com/spawnward/spawnward/spawner/wire"
)

// reportEnv makes the test binary print its identity and end. With the value
// "unlink" it removes its own file first, with "replace" it puts another there.
const reportEnv = "SPAWNWARD_BACKEND_TEST_REPORT"

func TestMain(m *testing.M) {
	how := os.Getenv(reportEnv)
	if how == "" {
		os.Exit(m.Run())
	}
	exe := os.Args[0]
	if how != "keep" {
		os.Remove(exe)
	}
	if how == "replace" {
		os.WriteFile(exe, []byte("another"), 0o700)
	}
	d, err := Identity(Given{Namespace: "n", Endpoint: "/e"})
	if err != nil {
		os.Stderr.WriteString(err.Error())
		os.Exit(1)
	}
	raw, _ := d.Marshal()
	os.Stdout.Write(raw)
}

func launched(t *testing.T, path string) {
	t.Setenv(wire.EnvBackendPipe, path)
	t.Setenv(wire.EnvBackendNamespace, "private:demo")
	t.Setenv(wire.EnvServiceName, "demo")
	t.Setenv(wire.EnvServiceVersion, "1.2.3")
	t.Setenv(wire.EnvInstance, "private:demo")
	t.Setenv(wire.EnvTraceparent, "tp")
}

func listen(t *testing.T, o Options) *Listener {
	launched(t, filepath.Join(t.TempDir(), "s"))
	l, err := o.Listen()
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

func dial(t *testing.T, l *Listener) *net.UnixConn {
	conn, err := net.Dial("unix", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.UnixConn)
}

func expectation(t *testing.T, l *Listener) probe.Expectation {
	exe, err := os.Executable()
	require.NoError(t, err)
	content, err := os.ReadFile(exe)
	require.NoError(t, err)
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	require.NoError(t, err)
	return probe.Expectation{
		PID: os.Getpid(), ExePath: exe, SHA256: sha256.Sum256(content), BootID: strings.TrimSpace(string(boot)),
		Namespace: "private:demo", Path: l.Addr().String(),
	}
}

func TestEnvironment(t *testing.T) {
	_, err := Listen()
	require.ErrorIs(t, err, ErrNotLaunched)
	require.ErrorContains(t, err, wire.EnvBackendPipe)

	launched(t, "/run/s")
	g, err := Environment()
	require.NoError(t, err)
	require.Equal(t, Given{
		Service: "demo", Version: "1.2.3", Endpoint: "/run/s", Namespace: "private:demo", Instance: "private:demo", Traceparent: "tp",
	}, g)

	t.Setenv(wire.EnvBackendNamespace, "")
	_, err = Environment()
	require.ErrorContains(t, err, wire.EnvBackendNamespace)
	require.NotErrorIs(t, err, ErrNotLaunched)
}

func TestProbesAndTheAuthorsConnections(t *testing.T) {
	l := listen(t, Options{})
	require.Equal(t, "demo", l.Given().Service)
	info, err := os.Lstat(l.Addr().String())
	require.NoError(t, err)
	require.Equal(t, os.ModeSocket|0o600, info.Mode())
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) })}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	want := expectation(t, l)
	client := http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", l.Addr().String())
	}}}

	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			conn, err := net.Dial("unix", l.Addr().String())
			if err == nil {
				defer conn.Close()
				err = probe.Identity(t.Context(), conn, want, admission.Trace{Traceparent: "a", Tracestate: "b"})
			}
			if err != nil {
				t.Error(err)
			}
		})
		group.Go(func() {
			response, err := client.Get("http://x/hello")
			if err != nil {
				t.Error(err)
				return
			}
			defer response.Body.Close()
			if body, err := io.ReadAll(response.Body); string(body) != "/hello" {
				t.Error(string(body), err)
			}
		})
	}
	group.Wait()
}

// framed is a frame on a connection.
func framed(t testing.TB, f *wire.Frame) []byte {
	body, err := f.Marshal()
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, wire.WriteFrame(&out, body, wire.MaxFrame))
	return out.Bytes()
}

func question(payload []byte) *wire.Frame {
	return &wire.Frame{EnvelopeVersion: 1, PayloadProtocol: wire.ProtocolIdentity, Payload: payload, RequestID: 7, Traceparent: "a"}
}

func TestAuthorGetsEveryByte(t *testing.T) {
	own := framed(t, &wire.Frame{EnvelopeVersion: 1, PayloadProtocol: 0xF001, Payload: []byte("x")})
	for name, opening := range map[string][]byte{
		"text":                  []byte("GET / HTTP/1.1\r\n\r\n"),
		"one byte":              {0},
		"a frame of its own":    own,
		"an empty frame":        {1, 0, 0, 0, 0},
		"a large frame's head":  {1, 1, 16, 0, 0},
		"a frame of no message": {1, 1, 0, 0, 0, 0xff},
		"large":                 bytes.Repeat([]byte("0123456789"), 5000),
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t, Options{Patience: time.Hour})
			client := dial(t, l)
			sent := append(bytes.Clone(opening), " rest"...)
			go func() { client.Write(opening); client.Write([]byte(" rest")); client.CloseWrite() }()
			conn, err := l.Accept()
			require.NoError(t, err)
			require.IsType(t, &net.UnixConn{}, conn)
			got, err := io.ReadAll(conn)
			require.NoError(t, err)
			require.Equal(t, sent, got)
			_, err = conn.Write([]byte("hi"))
			require.NoError(t, err)
			require.NoError(t, conn.Close())
			got, err = io.ReadAll(client)
			require.NoError(t, err)
			require.Equal(t, "hi", string(got))
		})
	}
}

func TestSilentConnectionsBecomeTheAuthors(t *testing.T) {
	for name, opening := range map[string]string{"silence": "", "an unfinished head": "\x01\x05", "an unfinished frame": "\x01\x05\x00\x00\x00\x08"} {
		t.Run(name, func(t *testing.T) {
			l := listen(t, Options{Patience: time.Millisecond})
			client := dial(t, l)
			_, err := client.Write([]byte(opening))
			require.NoError(t, err)
			conn, err := l.Accept()
			require.NoError(t, err)
			_, err = conn.Write([]byte("220 ready\n")) // no deadline is left behind
			require.NoError(t, err)
			line, err := bufio.NewReader(client).ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, "220 ready\n", line)
			require.NoError(t, client.CloseWrite())
			got, err := io.ReadAll(conn)
			require.NoError(t, err)
			require.Equal(t, opening, string(got))
		})
	}
}

func TestProbeInPiecesThenTheAuthors(t *testing.T) {
	l := listen(t, Options{Patience: time.Hour})
	client := dial(t, l)
	nonce := bytes.Repeat([]byte{9}, 32)
	for _, b := range framed(t, question(nonce)) {
		_, err := client.Write([]byte{b})
		require.NoError(t, err)
	}
	body, err := wire.ReadFrame(client, wire.MaxFrame)
	require.NoError(t, err)
	var answer wire.Frame
	require.NoError(t, answer.Unmarshal(body))
	require.Equal(t, nonce, answer.Payload[:32])
	require.EqualValues(t, 7, answer.RequestID)
	require.Equal(t, "a", answer.Traceparent)

	_, err = client.Write([]byte("now in plain"))
	require.NoError(t, err)
	conn, err := l.Accept()
	require.NoError(t, err)
	got := make([]byte, 12)
	_, err = io.ReadFull(conn, got)
	require.NoError(t, err)
	require.Equal(t, "now in plain", string(got))
}

func TestPassedDescriptorsReachTheAuthor(t *testing.T) {
	l := listen(t, Options{})
	client := dial(t, l)
	_, _, err := client.WriteMsgUnix([]byte("take this"), unix.UnixRights(0), nil)
	require.NoError(t, err)
	conn, err := l.Accept()
	require.NoError(t, err)
	text, control := make([]byte, 64), make([]byte, 64)
	n, cn, _, _, err := conn.(*net.UnixConn).ReadMsgUnix(text, control)
	require.NoError(t, err)
	require.Equal(t, "take this", string(text[:n]))
	messages, err := unix.ParseSocketControlMessage(control[:cn])
	require.NoError(t, err)
	fds, err := unix.ParseUnixRights(&messages[0])
	require.NoError(t, err)
	require.NoError(t, unix.Close(fds[0]))
}

func TestInvalidProbesAreClosed(t *testing.T) {
	l := listen(t, Options{})
	for name, change := range map[string]func(*wire.Frame){
		"version":  func(f *wire.Frame) { f.EnvelopeVersion = 2 },
		"kind":     func(f *wire.Frame) { f.Kind = wire.KindResponse },
		"encoding": func(f *wire.Frame) { f.PayloadEncoding = wire.EncodingLZ4 },
		"short":    func(f *wire.Frame) { f.Payload = f.Payload[:31] },
		"long":     func(f *wire.Frame) { f.Payload = append(f.Payload, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			f := question(make([]byte, 32))
			change(f)
			client := dial(t, l)
			_, err := client.Write(framed(t, f))
			require.NoError(t, err)
			got, err := io.ReadAll(client)
			require.NoError(t, err)
			require.Empty(t, got)
		})
	}
}

// With room for two silent connections, a crowd of them delays nobody.
func TestCrowdOfSilentConnections(t *testing.T) {
	l := listen(t, Options{Patience: time.Hour, Pending: 2})
	for range 20 {
		dial(t, l)
	}
	conn := dial(t, l)
	require.NoError(t, probe.Identity(t.Context(), conn, expectation(t, l), admission.Trace{}))
	for range 18 { // the oldest ones are the author's
		_, err := l.Accept()
		require.NoError(t, err)
	}
	client := dial(t, l)
	_, err := client.Write([]byte("GET"))
	require.NoError(t, err)
	for {
		conn, err := l.Accept()
		require.NoError(t, err)
		conn.SetReadDeadline(time.Now().Add(time.Millisecond))
		if n, _ := conn.Read(make([]byte, 3)); n == 3 {
			return
		}
	}
}

// An author who never accepts still has probes answered.
func TestProbesNeedNoAccept(t *testing.T) {
	l := listen(t, Options{})
	for range waitingForAccept / 2 {
		_, err := dial(t, l).Write([]byte("GET"))
		require.NoError(t, err)
	}
	require.NoError(t, probe.Identity(t.Context(), dial(t, l), expectation(t, l), admission.Trace{}))
}

func TestClose(t *testing.T) {
	l := listen(t, Options{Patience: time.Hour})
	silent, waiting := dial(t, l), dial(t, l)
	_, err := waiting.Write([]byte("GET"))
	require.NoError(t, err)
	accepted := make(chan error)
	taken := dial(t, l)
	_, err = taken.Write([]byte("GET"))
	require.NoError(t, err)
	for range 2 {
		conn, err := l.Accept()
		require.NoError(t, err)
		defer conn.Close()
	}
	go func() { _, err := l.Accept(); accepted <- err }()
	require.NoError(t, l.Close())
	require.ErrorIs(t, <-accepted, net.ErrClosed)
	_, err = os.Lstat(l.Addr().String())
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = silent.Read(make([]byte, 1))
	require.True(t, errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET), "%v", err)
	require.NoError(t, l.Close())
	_, err = l.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestListenRemovesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	require.NoError(t, os.WriteFile(path, []byte("mine"), 0o600))
	launched(t, path)
	_, err := Listen()
	require.ErrorIs(t, err, unix.EADDRINUSE)
	require.ErrorContains(t, err, path)
	require.FileExists(t, path)
}

func TestStatedIdleTimeout(t *testing.T) {
	l := listen(t, Options{IdleTimeout: 1500 * time.Millisecond})
	var d wire.DaemonProcess
	require.NoError(t, d.Unmarshal(l.identity))
	require.EqualValues(t, 2, *d.IdleTimeoutSecs)
	l = listen(t, Options{})
	require.NoError(t, d.Unmarshal(l.identity))
	require.Nil(t, d.IdleTimeoutSecs)
}

func TestIdentityIsOfTheRunningFile(t *testing.T) {
	self, err := os.ReadFile("/proc/self/exe")
	require.NoError(t, err)
	sum := sha256.Sum256(self)
	for _, how := range []string{"keep", "unlink", "replace"} {
		for _, name := range []string{"backend", "odd (deleted)"} {
			t.Run(how+" "+name, func(t *testing.T) {
				dir, err := filepath.EvalSymlinks(t.TempDir())
				require.NoError(t, err)
				path := filepath.Join(dir, name)
				require.NoError(t, os.WriteFile(path, self, 0o700))
				cmd := exec.Command(path)
				cmd.Env = append(os.Environ(), reportEnv+"="+how)
				cmd.Stderr = os.Stderr
				raw, err := cmd.Output()
				require.NoError(t, err)
				var d wire.DaemonProcess
				require.NoError(t, d.Unmarshal(raw))
				require.Equal(t, path, d.ExePath)
				require.Equal(t, sum[:], d.ExeSHA256)
				require.EqualValues(t, cmd.Process.Pid, d.PID)
				require.Equal(t, "/e", d.IPCEndpoint.Path)
				require.NotZero(t, d.StartedAtUnixMS)
			})
		}
	}
}

func FuzzClassify(f *testing.F) {
	f.Add(framed(f, question(make([]byte, 32))))
	f.Add(framed(f, &wire.Frame{PayloadProtocol: 1}))
	f.Add([]byte("GET /"))
	f.Add([]byte{1, 0, 16, 0, 0})
	f.Fuzz(func(t *testing.T, head []byte) {
		switch classify(head) {
		case undecided:
			require.Less(t, len(head), wire.HeaderSize+maxQuestion, "a full look decides")
		case asks:
			body, err := wire.ReadFrame(bytes.NewReader(head), maxQuestion)
			require.NoError(t, err)
			if answer, err := Answer(body, []byte("id")); err == nil {
				require.True(t, bytes.Contains(answer, []byte("id")))
			}
		}
	})
}
