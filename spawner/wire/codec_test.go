package wire

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/spawnward/spawnward/spawner/wire/wirepb"
)

// The files testdata/*.hex were made from the field table of the contract by an
// encoder that knows neither the .proto files nor this module: each line group
// is one field, named in the comment above it. They were then passed through
// protoc 3.21 (C++), --decode and --encode, which gave the same bytes and left no
// field without a name.
func golden(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".hex"))
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

func TestGoldenFraming(t *testing.T) {
	framed := golden(t, "probe_response_framed")
	body, err := ReadFrame(bytes.NewReader(framed), MaxFrame)
	require.NoError(t, err)
	require.Equal(t, golden(t, "probe_response"), body)

	var out bytes.Buffer
	require.NoError(t, WriteFrame(&out, body, MaxFrame))
	require.Equal(t, framed, out.Bytes())
}

// codec is a message that is written out here.
type codec interface {
	message
	Marshal() ([]byte, error)
	Unmarshal(data []byte) error
}

// pair is a message beside that of protoc.
type pair struct {
	own    codec
	theirs proto.Message
}

func pairs() map[string]pair {
	return map[string]pair{
		"frame": {&Frame{}, &wirepb.Frame{}}, "daemon_process": {&DaemonProcess{}, &wirepb.DaemonProcess{}},
		"service_definition": {&ServiceDefinition{}, &wirepb.ServiceDefinition{}},
	}
}

// values are what a message holds, in a form that both can be brought to: by the
// number of the field, without those that are empty.
type values map[int]any

func ownValues(m message) values {
	out := values{}
	v := reflect.ValueOf(m).Elem()
	for i := range v.NumField() {
		f := v.Field(i)
		if f.IsZero() || f.Kind() == reflect.Slice && f.Len() == 0 {
			continue
		}
		number := i + 1
		switch x := f.Interface().(type) {
		case *Endpoint:
			out[number] = ownValues(x)
		case *uint32:
			out[number] = uint64(*x)
		case []string, map[string]string, string:
			out[number] = x
		case []byte:
			out[number] = string(x)
		default:
			if f.CanInt() {
				out[number] = f.Int()
			} else {
				out[number] = f.Uint()
			}
		}
	}
	return out
}

func theirValues(m protoreflect.Message) values {
	out := values{}
	m.Range(func(d protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		number := int(d.Number())
		switch {
		case d.IsMap():
			pairs := map[string]string{}
			v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
				pairs[k.String()] = v.String()
				return true
			})
			out[number] = pairs
		case d.IsList():
			var list []string
			for i := range v.List().Len() {
				list = append(list, v.List().Get(i).String())
			}
			out[number] = list
		case d.Kind() == protoreflect.MessageKind:
			out[number] = theirValues(v.Message())
		case d.Kind() == protoreflect.EnumKind:
			out[number] = int64(v.Enum())
		case d.Kind() == protoreflect.BytesKind:
			out[number] = string(v.Bytes())
		case d.Kind() == protoreflect.StringKind:
			out[number] = v.String()
		default:
			out[number] = v.Uint()
		}
		return true
	})
	return out
}

// compare reads data as a message, and writes it, in both ways.
func compare(t *testing.T, p pair, data []byte) {
	t.Helper()
	theirs := proto.Unmarshal(data, p.theirs)
	own := p.own.Unmarshal(data)
	require.Equal(t, theirs == nil, own == nil, "%v %v", theirs, own)
	if own != nil {
		return
	}
	require.Equal(t, theirValues(p.theirs.ProtoReflect()), ownValues(p.own))
	p.theirs.ProtoReflect().SetUnknown(nil)
	clearUnknown(p.theirs)
	want, err := proto.MarshalOptions{Deterministic: true}.Marshal(p.theirs)
	require.NoError(t, err)
	got, err := p.own.Marshal()
	require.NoError(t, err)
	require.Equal(t, want, append([]byte{}, got...))
}

// clearUnknown forgets what protobuf kept of fields that it does not know.
func clearUnknown(m proto.Message) {
	if d, ok := m.(*wirepb.DaemonProcess); ok && d.IpcEndpoint != nil {
		d.IpcEndpoint.ProtoReflect().SetUnknown(nil)
	}
}

func TestMessagesAgreeWithProtobuf(t *testing.T) {
	for name, p := range pairs() {
		for _, file := range []string{"daemon_process", "daemon_process_blake3", "frame_full", "probe_request", "probe_response", "service_definition", "hello", "refused"} {
			t.Run(name+" "+file, func(t *testing.T) { compare(t, p, golden(t, file)) })
		}
	}
}

func TestOddBytesAgreeWithProtobuf(t *testing.T) {
	for name, text := range map[string]string{
		"repeated number":   "08010802",
		"wide number":       "08ffffffffffffffffff01",
		"too wide a number": "08ffffffffffffffffff02",
		"negative kind":     "10ffffffffffffffffff01",
		"parts that merge":  "22030a01612203120162",
		"optional zero":     "3800",
		"another kind":      "0a0161",
		"field 0":           "0000",
		"field too large":   "808080801000",
		"a group":           "f301f401",
		"a group's fields":  "f301080109000000000000000012016115000000000bf401",
		"nested groups":     "f3010b0cf401",
		"wrong end":         "f3010c",
		"end alone":         "f401",
		"open group":        "f301",
		"cut short":         "0a05616263",
		"kind 7":            "0f",
		"not UTF-8":         "1201ff4201ff",
		"an entry":          "42060a016112016242020a00",
		"an entry twice":    "42060a016112016242060a0161120163",
		"an entry's more":   "42080a016112016218010a",
		"empty bytes":       "1a002200",
	} {
		data, err := hex.DecodeString(text)
		require.NoError(t, err)
		for kind := range pairs() {
			t.Run(name+" "+kind, func(t *testing.T) { compare(t, pairs()[kind], data) })
		}
	}
}

func TestTextsAreUTF8(t *testing.T) {
	for _, m := range []codec{
		&Frame{Traceparent: "\xff"}, &DaemonProcess{ExePath: "\xff"}, &DaemonProcess{IPCEndpoint: &Endpoint{Path: "\xff"}},
		&ServiceDefinition{VersionAllowList: []string{"\xff"}}, &ServiceDefinition{Labels: map[string]string{"\xff": ""}},
	} {
		_, err := m.Marshal()
		require.ErrorContains(t, err, "UTF-8")
	}
}

// Deep nesting neither takes the stack nor much memory.
func TestDeepGroups(t *testing.T) {
	for depth, refused := range map[int]bool{100: false, 2 * protowire.DefaultRecursionLimit: true, 1 << 20: true} {
		data := append(bytes.Repeat([]byte{0x7b}, depth), bytes.Repeat([]byte{0x7c}, depth)...)
		require.Equal(t, refused, (&Frame{}).Unmarshal(data) != nil)
	}
}

func TestEnumNames(t *testing.T) {
	require.Equal(t, "RESPONSE", KindResponse.String())
	require.Equal(t, "7", FrameKind(7).String())
	require.Equal(t, "-1", PayloadEncoding(-1).String())
	require.Equal(t, "LZ4", EncodingLZ4.String())
}

func FuzzMessages(f *testing.F) {
	for _, file := range []string{"daemon_process", "daemon_process_blake3", "frame_full", "probe_response", "service_definition"} {
		f.Add(golden(f, file))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, p := range pairs() {
			compare(t, p, data)
		}
	})
}
