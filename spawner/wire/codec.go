package wire

import (
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// The messages are written out here, on the wire format of protobuf's own package
// protowire, because protobuf's runtime registers types before main begins, a
// quarter of a millisecond in every command and every backend. Tests compare this
// reader and writer with it.

// message names its fields to a coder, which reads or writes them.
type message interface{ fields(c *coder) }

// coder writes fields to out, or takes the one field that was read.
type coder struct {
	reading bool
	field   Field
	out     []byte
	err     error
}

// Field is one field of an encoded message.
type Field struct {
	Number protowire.Number
	Type   protowire.Type
	Value  uint64 // of a varint
	Bytes  []byte // of what has its length before it; not copied
}

func marshal(m message) ([]byte, error) {
	c := &coder{}
	m.fields(c)
	return c.out, c.err
}

// unmarshal reads into m, which keeps what it had and data does not mention.
// Fields that are not known, or of another type, are passed over.
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
	number, kind, n := protowire.ConsumeTag(data)
	if n < 0 {
		return Field{}, 0, fmt.Errorf("read a field: %w", protowire.ParseError(n))
	}
	if !number.IsValid() {
		return Field{}, 0, fmt.Errorf("field number %d is out of range", number)
	}
	value := data[n:]
	size := protowire.ConsumeFieldValue(number, kind, value)
	if size < 0 {
		return Field{}, 0, fmt.Errorf("read field %d: %w", number, protowire.ParseError(size))
	}
	f.Number, f.Type = number, kind
	switch kind { // whose values were just found whole
	case protowire.VarintType:
		f.Value, _ = protowire.ConsumeVarint(value)
	case protowire.BytesType:
		f.Bytes, _ = protowire.ConsumeBytes(value)
	}
	return f, n + size, nil
}

// takes reports whether the field that was read is this one.
func (c *coder) takes(number protowire.Number, kind protowire.Type) bool {
	return c.reading && c.field.Number == number && c.field.Type == kind
}

func (c *coder) putVarint(number protowire.Number, v uint64) {
	c.out = protowire.AppendVarint(protowire.AppendTag(c.out, number, protowire.VarintType), v)
}

func (c *coder) putBytes(number protowire.Number, b []byte) {
	c.out = protowire.AppendBytes(protowire.AppendTag(c.out, number, protowire.BytesType), b)
}

func (c *coder) uint64(number protowire.Number, v *uint64) {
	if c.takes(number, protowire.VarintType) {
		*v = c.field.Value
	}
	if !c.reading && *v != 0 {
		c.putVarint(number, *v)
	}
}

func (c *coder) uint32(number protowire.Number, v *uint32) {
	wide := uint64(*v)
	c.uint64(number, &wide)
	*v = uint32(wide)
}

// optional is a number that can be absent, which is not 0.
func (c *coder) optional(number protowire.Number, v **uint32) {
	if c.takes(number, protowire.VarintType) {
		narrow := uint32(c.field.Value)
		*v = &narrow
	}
	if !c.reading && *v != nil {
		c.putVarint(number, uint64(**v))
	}
}

// enum is a number with names; those that are not known are kept.
func enum[T ~int32](c *coder, number protowire.Number, v *T) {
	wide := uint64(int64(*v))
	c.uint64(number, &wide)
	*v = T(int32(wide))
}

func (c *coder) bytes(number protowire.Number, v *[]byte) {
	if c.takes(number, protowire.BytesType) {
		*v = append([]byte{}, c.field.Bytes...)
	}
	if !c.reading && len(*v) > 0 {
		c.putBytes(number, *v)
	}
}

func (c *coder) text(number protowire.Number, v *string) {
	if c.takes(number, protowire.BytesType) {
		*v = c.checked(number, string(c.field.Bytes))
	}
	if !c.reading && *v != "" {
		c.putBytes(number, []byte(c.checked(number, *v)))
	}
}

func (c *coder) texts(number protowire.Number, v *[]string) {
	if c.takes(number, protowire.BytesType) {
		*v = append(*v, c.checked(number, string(c.field.Bytes)))
	}
	if !c.reading {
		for _, s := range *v {
			c.putBytes(number, []byte(c.checked(number, s)))
		}
	}
}

// checked gives a text, which must be UTF-8.
func (c *coder) checked(number protowire.Number, s string) string {
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

func (c *coder) pairs(number protowire.Number, v *map[string]string) {
	if c.takes(number, protowire.BytesType) {
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
}](c *coder, number protowire.Number, v *M) {
	if c.takes(number, protowire.BytesType) {
		if *v == nil {
			*v = new(T)
		}
		c.err = unmarshal(c.field.Bytes, *v)
	}
	if !c.reading && *v != nil {
		c.inside(number, *v)
	}
}

func (c *coder) inside(number protowire.Number, m message) {
	b, err := marshal(m)
	if c.err == nil {
		c.err = err
	}
	c.putBytes(number, b)
}
