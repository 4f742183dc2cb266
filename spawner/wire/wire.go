// Package wire speaks version 1 of the broker protocol: its messages, how they
// are framed on a connection, and the names of the variables that hand a
// backend its place.
//
// The numbers, sizes and names here are fixed: programs in the field depend on
// them. The package judges no content; it only guarantees that bytes from
// outside cannot make it allocate more than a small multiple of what arrived. It
// behaves the same on every operating system.
//
// The messages that a launch needs are written out here. Package wirepb has all of
// them, as protoc makes them.
package wire

// Versions. The two are separate numbers that happen to be equal.
const (
	// FramingVersion is the first byte of every frame on a connection.
	FramingVersion = 1
	// EnvelopeVersion is the envelope_version of every Frame.
	EnvelopeVersion = 1
)

// Payload protocols of a Frame. Consumers have 0x7000 to 0x7EFF (registered) and
// 0xF000 to 0xFFFF (private).
const (
	ProtocolControl  = 0x0000 // Hello and HelloReply
	ProtocolAdmin    = 0xAD01
	ProtocolIdentity = 0xB232 // the identity probe
	ProtocolHandoff  = 0xD0FF
)

// Sizes in the identity probe, in bytes.
const (
	// NonceSize is the length of the question and of the answer's head.
	NonceSize = 32
	// DigestSize is the length of exe_sha256 and of exe_hash.
	DigestSize = 32
)

// HashBLAKE3 is the one known value of exe_hash_algorithm.
const HashBLAKE3 = "blake3"

// Variables that a broker sets for the backend it starts.
const (
	EnvServiceName      = "RUNNING_PROCESS_BROKER_V1_SERVICE_NAME"
	EnvServiceVersion   = "RUNNING_PROCESS_BROKER_V1_SERVICE_VERSION"
	EnvBackendPipe      = "RUNNING_PROCESS_BROKER_V1_BACKEND_PIPE"
	EnvBackendNamespace = "RUNNING_PROCESS_BROKER_V1_BACKEND_NAMESPACE"
	EnvInstance         = "RUNNING_PROCESS_BROKER_V1_INSTANCE"
	// EnvTraceparent and EnvTracestate are absent when they would be empty.
	EnvTraceparent = "RUNNING_PROCESS_BROKER_V1_TRACEPARENT"
	EnvTracestate  = "RUNNING_PROCESS_BROKER_V1_TRACESTATE"
	// EnvIsDaemon is "1" in every backend.
	EnvIsDaemon = "RUNNING_PROCESS_IS_DAEMON"
)

// EnvDisable set to "1" in a client's environment tells that client not to use
// the broker. A launcher is not a client in this sense and still gates what it
// launches.
const EnvDisable = "RUNNING_PROCESS_DISABLE"
