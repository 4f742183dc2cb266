package wire

import "strconv"

// Frame is the envelope of every message.
type Frame struct {
	// EnvelopeVersion is always [EnvelopeVersion]. It has nothing to do with the
	// framing byte.
	EnvelopeVersion uint32
	Kind            FrameKind
	// PayloadProtocol says what the payload is: one of the protocol numbers of
	// this package, or of the consumer's own range.
	PayloadProtocol uint32
	Payload         []byte
	// RequestID is chosen by the requester and repeated by the answer.
	RequestID       uint64
	PayloadEncoding PayloadEncoding
	// DeadlineUnixMS is the Unix time in milliseconds after which an answer is of
	// no use; 0 is none.
	DeadlineUnixMS uint64
	// Traceparent and Tracestate are the W3C trace context.
	Traceparent, Tracestate string
}

func (f *Frame) fields(c *coder) {
	c.uint32(1, &f.EnvelopeVersion)
	enum(c, 2, &f.Kind)
	c.uint32(3, &f.PayloadProtocol)
	c.bytes(4, &f.Payload)
	c.uint64(5, &f.RequestID)
	enum(c, 6, &f.PayloadEncoding)
	c.uint64(7, &f.DeadlineUnixMS)
	c.text(8, &f.Traceparent)
	c.text(9, &f.Tracestate)
}

// Marshal encodes the message. Its error is a text that is not UTF-8.
func (f *Frame) Marshal() ([]byte, error) { return marshal(f) }

// Unmarshal replaces the message by the one in data, of which it keeps nothing.
// Fields that are not known are passed over.
func (f *Frame) Unmarshal(data []byte) error {
	*f = Frame{}
	return unmarshal(data, f)
}

// Endpoint is where a backend listens.
type Endpoint struct {
	NamespaceID string
	// Path of a Unix socket, or the bare name of a Windows pipe.
	Path string
}

func (e *Endpoint) fields(c *coder) {
	c.text(1, &e.NamespaceID)
	c.text(2, &e.Path)
}

// DaemonProcess is what a backend states of itself.
type DaemonProcess struct {
	PID uint32
	// ExePath is the canonical path of the executable.
	ExePath string
	// ExeSHA256 is its digest, 32 bytes; newer peers may leave it empty when
	// ExeHash is there.
	ExeSHA256   []byte
	IPCEndpoint *Endpoint
	// StartedAtUnixMS is Unix time in milliseconds.
	StartedAtUnixMS uint64
	BootID          string
	// IdleTimeoutSecs is after how many seconds without clients the backend ends
	// by itself; nil is never.
	IdleTimeoutSecs *uint32
	// ExeHashAlgorithm names a second digest, [HashBLAKE3], and ExeHash is that
	// digest, 32 bytes.
	ExeHashAlgorithm string
	ExeHash          []byte
}

func (d *DaemonProcess) fields(c *coder) {
	c.uint32(1, &d.PID)
	c.text(2, &d.ExePath)
	c.bytes(3, &d.ExeSHA256)
	part(c, 4, &d.IPCEndpoint)
	c.uint64(5, &d.StartedAtUnixMS)
	c.text(6, &d.BootID)
	c.optional(7, &d.IdleTimeoutSecs)
	c.text(8, &d.ExeHashAlgorithm)
	c.bytes(9, &d.ExeHash)
}

// Marshal encodes the message. Its error is a text that is not UTF-8.
func (d *DaemonProcess) Marshal() ([]byte, error) { return marshal(d) }

// Unmarshal replaces the message by the one in data, of which it keeps nothing.
// Fields that are not known are passed over.
func (d *DaemonProcess) Unmarshal(data []byte) error {
	*d = DaemonProcess{}
	return unmarshal(data, d)
}

// ServiceDefinition is the part of a service definition that all tools share.
type ServiceDefinition struct {
	ServiceName string
	BinaryPath  string
	Isolation   BrokerIsolation
	// ExplicitInstance is the name of the instance, for [ExplicitInstance] only.
	ExplicitInstance string
	// PerVersionBinaryDir is the directory that must hold the binary.
	PerVersionBinaryDir string
	// MinVersion is the lowest version that may be requested.
	MinVersion string
	// VersionAllowList are the versions that may be requested; empty allows every
	// one from MinVersion on.
	VersionAllowList []string
	Labels           map[string]string
}

func (s *ServiceDefinition) fields(c *coder) {
	c.text(1, &s.ServiceName)
	c.text(2, &s.BinaryPath)
	enum(c, 3, &s.Isolation)
	c.text(4, &s.ExplicitInstance)
	c.text(5, &s.PerVersionBinaryDir)
	c.text(6, &s.MinVersion)
	c.texts(7, &s.VersionAllowList)
	c.pairs(8, &s.Labels)
}

// Marshal encodes the message, labels in the order of their names. Its error is a
// text that is not UTF-8.
func (s *ServiceDefinition) Marshal() ([]byte, error) { return marshal(s) }

// Unmarshal replaces the message by the one in data, of which it keeps nothing.
// Fields that are not known are passed over.
func (s *ServiceDefinition) Unmarshal(data []byte) error {
	*s = ServiceDefinition{}
	return unmarshal(data, s)
}

// FrameKind is what a frame is for.
type FrameKind int32

// The kinds of frames.
const (
	KindRequest FrameKind = iota
	KindResponse
	KindEvent
	KindCancel
)

// String gives the name in the contract, or the digits of a number without one.
func (k FrameKind) String() string { return named(int32(k), "REQUEST", "RESPONSE", "EVENT", "CANCEL") }

// PayloadEncoding is how a payload is compressed.
type PayloadEncoding int32

// The encodings of payloads.
const (
	EncodingNone PayloadEncoding = iota
	EncodingZSTD
	EncodingSnappy
	EncodingLZ4
)

// String gives the name in the contract, or the digits of a number without one.
func (e PayloadEncoding) String() string { return named(int32(e), "NONE", "ZSTD", "SNAPPY", "LZ4") }

// BrokerIsolation says which broker instance a backend belongs to.
type BrokerIsolation int32

// The isolations.
const (
	PrivateBroker    BrokerIsolation = iota // an instance of its own; the default
	SharedBroker                            // the instance that all sharing services have in common
	ExplicitInstance                        // the instance that is named
)

// named is the name of a number, or its digits.
func named(n int32, names ...string) string {
	if n >= 0 && int(n) < len(names) {
		return names[n]
	}
	return strconv.Itoa(int(n))
}
