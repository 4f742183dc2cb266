package probe

import (
	"context"
	"net"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/wire"
)

// BenchmarkProbe asks another process on its socket: who listens, and then also
// who it says it is.
func BenchmarkProbe(b *testing.B) {
	dir, err := os.MkdirTemp("/tmp", "sw")
	require.NoError(b, err)
	defer os.RemoveAll(dir)
	path := dir + "/s"
	cmd, end := child(b, path, "answer")
	defer end()
	fd := pidfd(b, cmd.Process.Pid)
	ask := func(b *testing.B, more func(net.Conn) error) {
		b.ReportAllocs()
		for b.Loop() {
			conn, err := Dial(context.Background(), path)
			require.NoError(b, err)
			require.NoError(b, VerifyPeer(conn, cmd.Process.Pid, fd))
			require.NoError(b, more(conn))
			require.NoError(b, conn.Close())
		}
	}
	b.Run("peer", func(b *testing.B) { ask(b, func(net.Conn) error { return nil }) })
	b.Run("identity", func(b *testing.B) {
		ask(b, func(c net.Conn) error { return Identity(context.Background(), c, expected(), admission.Trace{}) })
	})
}

// playAnswer gives every connection on descriptor 3 the golden identity.
func playAnswer() error {
	f := os.NewFile(3, "socket")
	l, err := net.FileListener(f)
	if err != nil {
		return err
	}
	text, err := os.ReadFile("../wire/testdata/daemon_process.hex")
	if err != nil {
		return err
	}
	stated, err := unhex(string(text))
	if err != nil {
		return err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_ = answerOn(c, stated) // who only looks at the peer asks nothing
				_ = c.Close()
			}()
		}
	}()
	return nil
}

func answerOn(c net.Conn, stated []byte) error {
	body, err := wire.ReadFrame(c, wire.MaxFrame)
	if err != nil {
		return err
	}
	var q wire.Frame
	if err := q.Unmarshal(body); err != nil {
		return err
	}
	f := wire.Frame{
		EnvelopeVersion: 1, Kind: wire.KindResponse, PayloadProtocol: wire.ProtocolIdentity,
		RequestID: q.RequestID, Payload: append(q.Payload, stated...),
	}
	reply, err := f.Marshal()
	if err != nil {
		return err
	}
	return wire.WriteFrame(c, reply, wire.MaxFrame)
}
