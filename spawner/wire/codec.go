package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"unicode/utf8"
)

// Why the messages are written out here: protobuf's runtime registers types and
// hashes the executable before main begins, a third of a millisecond in every
// command and every backend. Tests compare this reader and writer with it.

// message names its fields to a coder, which reads or writes them.
type message interface{ fields(c *coder) }

// Kind is how a value stands on the wire.
type Kind int

// Kinds of values. Messages of this protocol have the first and the third.
const (
	Varint Kind = iota
	Fixed64
	Bytes // with its length before it
	GroupStart
	GroupEnd
	Fixed32
)

// Limits of protobuf.
const (
	maxField = 1<<29 - 1
	maxDepth = 10_000
)

var (
	errTruncated = errors.New("the message is cut short")
	errMalformed = errors.New("the message is malformed")
)

// coder writes fields to out, or takes the one field that was read.
type coder struct {
	reading bool
	field   Field
	out     []byte
	err     error
}

// Field is one field of an encoded message.
type Field struct {
	Number int
	Kind   Kind
	Value  uint64 // of a Varint
	Bytes  []byte // of Bytes, not copied
}

func marshal(m message) ([]byte, error) {
	c := &coder{}
	m.fields(c)
	return c.out, c.err
}

// unmarshal reads into m, which keeps what it had and data does not mention.
// Fields that are not known, or of another kind, are passed over.
func unmarshal(data []byte, m message) error {
	for len(data) > 0 {
		f, n, err := NextField(data)
		if err != nil {
			return err
		}
		data = data[n:]
		c := &coder{reading: true, field: f}
		if m.fields(c); c.err != nil {
			return c.err
		}
	}
	return nil
}

// NextField reads the field at the beginning of an encoded message and gives its
// length in bytes. Its error says that the message is malformed or cut short
// there.
func NextField(data []byte) (f Field, n int, err error) {
	number, kind, n, err := tag(data)
	if err == nil && number > maxField {
		err = errMalformed
	}
	if err != nil {
		return Field{}, 0, err
	}
	f.Number, f.Kind = number, kind
	size, err := valueSize(number, kind, data[n:])
	if err != nil {
		return Field{}, 0, err
	}
	switch raw := data[n : n+size]; kind {
	case Varint:
		f.Value, _ = binary.Uvarint(raw)
	case Bytes:
		_, head := binary.Uvarint(raw)
		f.Bytes = raw[head:]
	}
	return f, n + size, nil
}

func tag(data []byte) (number int, kind Kind, n int, err error) {
	v, n, err := varint(data)
	if err == nil && (v>>3 < 1 || v>>3 > math.MaxInt32) {
		err = errMalformed
	}
	return int(v >> 3), Kind(v & 7), n, err
}

func varint(data []byte) (v uint64, n int, err error) {
	switch v, n = binary.Uvarint(data); {
	case n == 0:
		return 0, 0, errTruncated
	case n < 0:
		return 0, 0, errMalformed
	}
	return v, n, nil
}

// valueSize is the length of a value with the length that stands before it, or of
// a group with its end.
func valueSize(number int, kind Kind, data []byte) (int, error) {
	if kind != GroupStart {
		return plainSize(kind, data)
	}
	open := []int{number}
	for at := 0; ; {
		number, kind, n, err := tag(data[at:])
		if err != nil {
			return 0, err
		}
		at += n
		switch {
		case kind == GroupStart && len(open) == maxDepth, kind == GroupEnd && number != open[len(open)-1]:
			return 0, errMalformed
		case kind == GroupStart:
			open = append(open, number)
			continue
		case kind == GroupEnd:
			if open = open[:len(open)-1]; len(open) == 0 {
				return at, nil
			}
			continue
		}
		n, err = plainSize(kind, data[at:])
		if err != nil {
			return 0, err
		}
		at += n
	}
}

func plainSize(kind Kind, data []byte) (int, error) {
	size := 0
	switch kind {
	case Varint:
		_, n, err := varint(data)
		return n, err
	case Bytes:
		v, n, err := varint(data)
		if err != nil {
			return 0, err
		}
		if v > uint64(len(data)-n) {
			return 0, errTruncated
		}
		return n + int(v), nil
	case Fixed64:
		size = 8
	case Fixed32:
		size = 4
	default:
		return 0, errMalformed
	}
	if len(data) < size {
		return 0, errTruncated
	}
	return size, nil
}

// takes reports whether the field that was read is this one.
func (c *coder) takes(number int, kind Kind) bool {
	return c.reading && c.field.Number == number && c.field.Kind == kind
}

func (c *coder) put(number int, kind Kind) {
	c.out = binary.AppendUvarint(c.out, uint64(number)<<3|uint64(kind))
}

func (c *coder) putBytes(number int, b []byte) {
	c.put(number, Bytes)
	c.out = append(binary.AppendUvarint(c.out, uint64(len(b))), b...)
}

func (c *coder) uint64(number int, v *uint64) {
	if c.takes(number, Varint) {
		*v = c.field.Value
	}
	if !c.reading && *v != 0 {
		c.put(number, Varint)
		c.out = binary.AppendUvarint(c.out, *v)
	}
}

func (c *coder) uint32(number int, v *uint32) {
	wide := uint64(*v)
	c.uint64(number, &wide)
	*v = uint32(wide)
}

// optional is a number that can be absent, which is not 0.
func (c *coder) optional(number int, v **uint32) {
	if c.takes(number, Varint) {
		narrow := uint32(c.field.Value)
		*v = &narrow
	}
	if !c.reading && *v != nil {
		c.put(number, Varint)
		c.out = binary.AppendUvarint(c.out, uint64(**v))
	}
}

// enum is a number with names; those that are not known are kept.
func enum[T ~int32](c *coder, number int, v *T) {
	wide := uint64(int64(*v))
	c.uint64(number, &wide)
	*v = T(int32(wide))
}

func (c *coder) bytes(number int, v *[]byte) {
	if c.takes(number, Bytes) {
		*v = append([]byte{}, c.field.Bytes...)
	}
	if !c.reading && len(*v) > 0 {
		c.putBytes(number, *v)
	}
}

func (c *coder) text(number int, v *string) {
	if c.takes(number, Bytes) {
		*v = c.checked(number, string(c.field.Bytes))
	}
	if !c.reading && *v != "" {
		c.putBytes(number, []byte(c.checked(number, *v)))
	}
}

func (c *coder) texts(number int, v *[]string) {
	if c.takes(number, Bytes) {
		*v = append(*v, c.checked(number, string(c.field.Bytes)))
	}
	if !c.reading {
		for _, s := range *v {
			c.putBytes(number, []byte(c.checked(number, s)))
		}
	}
}

// checked gives a text, which must be UTF-8.
func (c *coder) checked(number int, s string) string {
	if c.err == nil && !utf8.ValidString(s) {
		c.err = fmt.Errorf("field %d is not valid UTF-8", number)
	}
	return s
}

// entry is one pair of a map, which has both even where they are empty.
type entry struct{ key, value string }

func (e *entry) fields(c *coder) {
	if !c.reading {
		c.putBytes(1, []byte(c.checked(1, e.key)))
		c.putBytes(2, []byte(c.checked(2, e.value)))
		return
	}
	c.text(1, &e.key)
	c.text(2, &e.value)
}

func (c *coder) pairs(number int, v *map[string]string) {
	if c.takes(number, Bytes) {
		var e entry
		c.err = unmarshal(c.field.Bytes, &e)
		if *v == nil {
			*v = map[string]string{}
		}
		(*v)[e.key] = e.value
	}
	if !c.reading {
		for _, key := range slices.Sorted(maps.Keys(*v)) {
			c.inside(number, &entry{key, (*v)[key]})
		}
	}
}

// part is a message in a message. One that is there twice is read into the first.
func part[T any, M interface {
	*T
	message
}](c *coder, number int, v *M) {
	if c.takes(number, Bytes) {
		if *v == nil {
			*v = new(T)
		}
		c.err = unmarshal(c.field.Bytes, *v)
	}
	if !c.reading && *v != nil {
		c.inside(number, *v)
	}
}

func (c *coder) inside(number int, m message) {
	b, err := marshal(m)
	if c.err == nil {
		c.err = err
	}
	c.putBytes(number, b)
}
