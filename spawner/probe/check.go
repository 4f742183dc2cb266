package probe

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strconv"

	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/wire"
)

// Check judges the body of the frame that answered a nonce. Its checks run in
// the order of the contract and the first that fails is the error, an [*Error].
func Check(body []byte, nonce [wire.NonceSize]byte, expect Expectation) error {
	var answer wire.Frame
	if err := answer.Unmarshal(body); err != nil {
		return fail(code.ProbeFrame, errors.New("the answer is no frame message"))
	}
	if err := checkEnvelope(&answer, nonce); err != nil {
		return err
	}
	var stated wire.DaemonProcess
	if err := stated.Unmarshal(answer.Payload[wire.NonceSize:]); err != nil {
		return fail(code.ProbeIdentity, errors.New("the identity after the nonce is no identity message"))
	}
	if err := checkForm(&stated); err != nil {
		return err
	}
	return checkIdentity(&stated, expect)
}

func checkEnvelope(answer *wire.Frame, nonce [wire.NonceSize]byte) error {
	switch {
	case answer.EnvelopeVersion != wire.EnvelopeVersion:
		return differs(code.ProbeVersion, number(wire.EnvelopeVersion), number(uint64(answer.EnvelopeVersion)))
	case answer.Kind != wire.KindResponse:
		return differs(code.ProbeKind, wire.KindResponse.String(), answer.Kind.String())
	case answer.PayloadProtocol != wire.ProtocolIdentity:
		return differs(code.ProbeProtocol, hexNumber(wire.ProtocolIdentity), hexNumber(uint64(answer.PayloadProtocol)))
	case answer.RequestID != requestID(nonce):
		return differs(code.ProbeRequestID, hexNumber(requestID(nonce)), hexNumber(answer.RequestID))
	case answer.PayloadEncoding != wire.EncodingNone:
		return differs(code.ProbeEncoding, wire.EncodingNone.String(), answer.PayloadEncoding.String())
	case len(answer.Payload) < wire.NonceSize:
		return differs(code.ProbePayload, "at least "+number(wire.NonceSize)+" bytes", number(uint64(len(answer.Payload)))+" bytes")
	case !bytes.Equal(answer.Payload[:wire.NonceSize], nonce[:]):
		return differs(code.ProbeNonce, hex.EncodeToString(nonce[:]), hex.EncodeToString(answer.Payload[:wire.NonceSize]))
	}
	return nil
}

// checkForm judges what can be judged without an expectation.
func checkForm(stated *wire.DaemonProcess) error {
	if stated.IPCEndpoint == nil {
		return fail(code.ProbeEndpointMissing, nil)
	}
	// Newer peers may leave the SHA-256 empty when they name another digest.
	if n := len(stated.ExeSHA256); n != wire.DigestSize && (n != 0 || stated.ExeHashAlgorithm == "") {
		return wrongLength("exe_sha256", n)
	}
	if n := len(stated.ExeHash); stated.ExeHashAlgorithm == wire.HashBLAKE3 && n != wire.DigestSize {
		return wrongLength("exe_hash", n)
	}
	return nil
}

func wrongLength(field string, n int) error {
	return differs(code.ProbeDigestLength, number(wire.DigestSize)+" bytes", field+" of "+number(uint64(n))+" bytes")
}

func checkIdentity(stated *wire.DaemonProcess, expect Expectation) error {
	if int64(stated.PID) != int64(expect.PID) {
		return differs(code.ProbePID, strconv.Itoa(expect.PID), number(uint64(stated.PID)))
	}
	if stated.ExePath != expect.ExePath {
		return differs(code.ProbeExePath, shown(expect.ExePath), shown(stated.ExePath))
	}
	if err := checkDigest(stated, expect); err != nil {
		return err
	}
	if stated.BootID != expect.BootID {
		return differs(code.ProbeBootID, shown(expect.BootID), shown(stated.BootID))
	}
	if e := stated.IPCEndpoint; e.NamespaceID != expect.Namespace || e.Path != expect.Path {
		return differs(code.ProbeEndpoint, shown(expect.Namespace)+" "+shown(expect.Path), shown(e.NamespaceID)+" "+shown(e.Path))
	}
	return nil
}

// checkDigest accepts a SHA-256, a BLAKE3, or both; each one stated must be
// equal. checkForm has seen to the lengths and that there is one.
func checkDigest(stated *wire.DaemonProcess, expect Expectation) error {
	if len(stated.ExeSHA256) != 0 && !bytes.Equal(stated.ExeSHA256, expect.SHA256[:]) {
		return differs(code.ProbeDigest, hex.EncodeToString(expect.SHA256[:]), hex.EncodeToString(stated.ExeSHA256))
	}
	switch stated.ExeHashAlgorithm {
	case "":
		return nil
	case wire.HashBLAKE3:
	default:
		return differs(code.ProbeDigest, "exe_hash_algorithm "+shown(wire.HashBLAKE3), "exe_hash_algorithm "+shown(stated.ExeHashAlgorithm))
	}
	if expect.BLAKE3 == nil {
		return fail(code.ProbeDigest, errors.New("the answer states a blake3 digest and there is none to compare it with"))
	}
	want, err := expect.BLAKE3()
	if err != nil {
		return fail(code.MeasureFailed, err)
	}
	if !bytes.Equal(stated.ExeHash, want[:]) {
		return differs(code.ProbeDigest, "blake3 "+hex.EncodeToString(want[:]), "blake3 "+hex.EncodeToString(stated.ExeHash))
	}
	return nil
}

func number(n uint64) string    { return strconv.FormatUint(n, 10) }
func hexNumber(n uint64) string { return "0x" + strconv.FormatUint(n, 16) }
