package conformance

import (
	"bytes"
	"encoding/binary"
	"runtime"
)

// tinyELF is a whole program of a few hundred bytes that ends with status 0, or
// cannot begin when it asks for a loader. It serves cases in which nothing must
// run: it is hashed at once.
func tinyELF(interp string) []byte {
	machine, text := uint16(62), []byte{0x31, 0xff, 0xb8, 0x3c, 0, 0, 0, 0x0f, 0x05} // exit(0) on amd64
	if runtime.GOARCH == "arm64" {
		machine, text = 183, []byte{0, 0, 0x80, 0xd2, 0xa8, 0x0b, 0x80, 0xd2, 1, 0, 0, 0xd4}
	}
	const base, header, entry = 0x400000, 64, 56
	segments := uint16(1)
	if interp != "" {
		segments = 2
	}
	start := header + entry*int(segments)
	name := append([]byte(interp), 0)
	if interp == "" {
		name = nil
	}
	size := uint64(start + len(text) + len(name))
	var b bytes.Buffer
	put := func(values ...any) {
		for _, v := range values {
			_ = binary.Write(&b, binary.LittleEndian, v) // a buffer takes everything
		}
	}
	put([]byte("\x7fELF\x02\x01\x01"), make([]byte, 9), uint16(2), machine, uint32(1),
		uint64(base+start), uint64(header), uint64(0), uint32(0),
		uint16(header), uint16(entry), segments, uint16(0), uint16(0), uint16(0))
	put(uint32(1), uint32(5), uint64(0), uint64(base), uint64(base), size, size, uint64(0x1000))
	if interp != "" {
		at := uint64(start + len(text))
		put(uint32(3), uint32(4), at, base+at, base+at, uint64(len(name)), uint64(len(name)), uint64(1))
	}
	put(text, name)
	return b.Bytes()
}
