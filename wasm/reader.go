package wasm

import (
	"errors"
	"fmt"
)

var (
	errShort  = errors.New("it ends in the middle")
	errNumber = errors.New("a number is longer than its type allows")
)

// reader reads the parts of the binary format. No count that it returns from
// count is larger than what is left of the bytes, so nothing is ever allocated
// or looped over on the word of the module alone.
type reader struct {
	data []byte
	at   int
}

func (r *reader) left() int { return len(r.data) - r.at }

func (r *reader) byte() (byte, error) {
	if r.left() < 1 {
		return 0, errShort
	}
	r.at++
	return r.data[r.at-1], nil
}

func (r *reader) bytes(n uint32) ([]byte, error) {
	if uint64(n) > uint64(r.left()) {
		return nil, errShort
	}
	r.at += int(n)
	return r.data[r.at-int(n) : r.at], nil
}

func (r *reader) skip(n uint32) error {
	_, err := r.bytes(n)
	return err
}

// u32 reads an unsigned LEB128 number of at most 32 bits.
func (r *reader) u32() (uint32, error) {
	var v uint64
	for shift := 0; shift < 35; shift += 7 {
		b, err := r.byte()
		if err != nil {
			return 0, err
		}
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			if v > 1<<32-1 {
				return 0, errNumber
			}
			return uint32(v), nil
		}
	}
	return 0, errNumber
}

// skipNumber passes over a signed LEB128 number of at most n bytes.
func (r *reader) skipNumber(n int) error {
	for range n {
		b, err := r.byte()
		if err != nil {
			return err
		}
		if b < 0x80 {
			return nil
		}
	}
	return errNumber
}

// count reads how many items follow: at most limit, each of at least one byte.
func (r *reader) count(what string, limit uint32) (uint32, error) {
	n, err := r.u32()
	if err != nil {
		return 0, err
	}
	if n > limit {
		return 0, fmt.Errorf("%d %s, at most %d are allowed; build a smaller module", n, what, limit)
	}
	if uint64(n) > uint64(r.left()) {
		return 0, fmt.Errorf("%d %s are announced: %w", n, what, errShort)
	}
	return n, nil
}

// name reads a string of at most 1 KiB.
func (r *reader) name() (string, error) {
	n, err := r.u32()
	if err != nil {
		return "", err
	}
	if n > maxName {
		return "", fmt.Errorf("a name of %d bytes, at most %d are allowed", n, maxName)
	}
	b, err := r.bytes(n)
	return string(b), err
}

// numberType reads one of i32, i64, f32, f64.
func (r *reader) numberType() (byte, error) {
	t, err := r.byte()
	if err != nil {
		return 0, err
	}
	switch t {
	case 0x7f, 0x7e, 0x7d, 0x7c:
		return t, nil
	case 0x7b:
		return 0, errors.New("a vector type; build without SIMD (C: -mno-simd128, Rust: -C target-feature=-simd128)")
	case 0x70, 0x6f:
		return 0, errors.New("a reference as a value; build without reference types (C: -mno-reference-types)")
	}
	return 0, fmt.Errorf("%#x is not a value type", t)
}
