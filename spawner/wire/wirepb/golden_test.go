package wirepb

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/spawnward/spawnward/spawner/wire"
)

// The files testdata/*.hex were made from the field table of the contract by an
// encoder that knows neither the .proto files nor this package: each line group
// is one field, named in the comment above it. They were then passed through
// protoc 3.21 (C++), --decode and --encode, which gave the same bytes and left no
// field without a name.
func golden(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "testdata", name+".hex"))
	require.NoError(t, err)
	var digits strings.Builder
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			digits.WriteString(strings.Join(strings.Fields(line), ""))
		}
	}
	b, err := hex.DecodeString(digits.String())
	require.NoError(t, err)
	return b
}

// count returns the n bytes from first on, ascending.
func count(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

func TestGolden(t *testing.T) {
	const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	endpoint := &Endpoint{NamespaceId: "shared", Path: "/run/user/1000/b.sock"}
	daemon := &DaemonProcess{
		Pid: 4242, ExePath: "/opt/demo/1.2.3/demo", ExeSha256: count(0xe0, 32), IpcEndpoint: endpoint,
		StartedAtUnixMs: 1750000000123, BootId: "6f1b0c52-3d4e-4f80-9a1b-2c3d4e5f6071", IdleTimeoutSecs: proto.Uint32(0),
	}
	negotiated := &Negotiated{
		NegotiatedProtocol: 1, DaemonVersion: "1.2.3", BackendPipe: "/run/user/1000/b.sock", Warnings: []string{"w1", "w2"},
		ServerCapabilities: 6, KeepaliveIntervalSecs: 1800, HandlePassedToken: []byte{7}, ConnectionId: 8,
	}
	refused := &Refused{
		Reason: "no", DaemonMinProtocol: 1, DaemonMaxProtocol: 1, Code: ErrorCode_VERSION_BLOCKED,
		Details: map[string]string{"k": "v"}, RetryAfterMs: 30000,
	}
	for name, want := range map[string]proto.Message{
		"endpoint":       endpoint,
		"daemon_process": daemon,
		"daemon_process_blake3": &DaemonProcess{
			Pid: 4242, ExePath: "/opt/demo/1.2.3/demo", IpcEndpoint: endpoint,
			ExeHashAlgorithm: wire.HashBLAKE3, ExeHash: count(0x80, 32),
		},
		"probe_request": &Frame{
			EnvelopeVersion: wire.EnvelopeVersion, PayloadProtocol: wire.ProtocolIdentity, Payload: count(0x40, 32),
			RequestId: 0x4746454443424140, Traceparent: traceparent, Tracestate: "a=1",
		},
		"probe_response": &Frame{
			EnvelopeVersion: wire.EnvelopeVersion, Kind: FrameKind_RESPONSE, PayloadProtocol: wire.ProtocolIdentity,
			Payload:   append(count(0x40, 32), golden(t, "daemon_process")...),
			RequestId: 0x4746454443424140, Traceparent: traceparent, Tracestate: "a=1",
		},
		"frame_full": &Frame{
			EnvelopeVersion: 1, Kind: FrameKind_CANCEL, PayloadProtocol: 0xF001, Payload: []byte{0, 255},
			RequestId: 1<<64 - 1, PayloadEncoding: PayloadEncoding_LZ4, DeadlineUnixMs: 1750000000123,
			Traceparent: "tp", Tracestate: "ts",
		},
		"service_definition": &ServiceDefinition{
			ServiceName: "demo", BinaryPath: "/opt/demo/1.2.3/demo", Isolation: BrokerIsolation_EXPLICIT_INSTANCE,
			ExplicitInstance: "blue", PerVersionBinaryDir: "/opt/demo/1.2.3", MinVersion: "1.0.0",
			VersionAllowList: []string{"1.2.3", "1.3.0-rc.1"}, Labels: map[string]string{"team": "core"},
		},
		"hello": &Hello{
			ClientMinProtocol: 1, ClientMaxProtocol: 2, ServiceName: "demo", WantedVersion: "1.2.3", ClientVersion: "9.9.9",
			ClientCapabilities: 5, AuthToken: []byte{1, 2}, RequestId: "r-1", ConnectionId: 300, PeerPid: 77,
			ClientLibName: "lib", ClientLibVersion: "0.1", PeerAttestationNonce: []byte{3}, CapabilityToken: []byte{4},
			ClientKeepaliveSecs: 60,
		},
		"negotiated":             negotiated,
		"refused":                refused,
		"hello_reply_negotiated": &HelloReply{Result: &HelloReply_Negotiated{Negotiated: negotiated}},
		"hello_reply_refused":    &HelloReply{Result: &HelloReply_Refused{Refused: refused}},
	} {
		t.Run(name, func(t *testing.T) {
			raw := golden(t, name)
			got := want.ProtoReflect().New().Interface()
			require.NoError(t, proto.Unmarshal(raw, got))
			require.Empty(t, got.ProtoReflect().GetUnknown())
			require.True(t, proto.Equal(want, got), "decoded: %v", got)
			encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(want)
			require.NoError(t, err)
			require.Equal(t, raw, encoded)
		})
	}
}

// The names stand in definitions and logs, and the numbers on the wire.
func TestEnums(t *testing.T) {
	require.Equal(t, map[string]int32{"REQUEST": 0, "RESPONSE": 1, "EVENT": 2, "CANCEL": 3}, FrameKind_value)
	require.Equal(t, map[string]int32{"NONE": 0, "ZSTD": 1, "SNAPPY": 2, "LZ4": 3}, PayloadEncoding_value)
	require.Equal(t, map[string]int32{"PRIVATE_BROKER": 0, "SHARED_BROKER": 1, "EXPLICIT_INSTANCE": 2}, BrokerIsolation_value)
	require.Equal(t, map[string]int32{
		"UNSPECIFIED": 0, "VERSION_UNSUPPORTED": 1, "SERVICE_UNKNOWN": 2, "BACKEND_SPAWN_FAILED": 3, "RATE_LIMITED": 4,
		"SHUTTING_DOWN": 5, "PEER_REJECTED": 6, "INTERNAL": 7, "VERSION_BLOCKED": 8, "FD_PRESSURE": 9,
	}, ErrorCode_value)
}

func TestReservedFields(t *testing.T) {
	fields := (&Frame{}).ProtoReflect().Descriptor().ReservedRanges()
	require.Equal(t, 1, fields.Len())
	require.EqualValues(t, 10, fields.Get(0)[0])
	require.EqualValues(t, 16, fields.Get(0)[1], "the end is exclusive")
}
