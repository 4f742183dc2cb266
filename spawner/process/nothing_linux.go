package process

import "encoding/binary"

// nothing is the smallest program that the kernel loads: one segment that can be
// read and executed, in which it ends. The form is that of elf(5).
func nothing() []byte {
	const base, header, segment = 0x400000, 64, 56
	le := binary.LittleEndian
	start := uint64(header + segment)
	size := start + uint64(len(nothingText))

	b := append(make([]byte, 0, size), "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
	b = le.AppendUint16(b, 2) // an executable
	b = le.AppendUint16(b, nothingMachine)
	b = le.AppendUint32(b, 1)
	b = le.AppendUint64(b, base+start) // entry
	b = le.AppendUint64(b, header)     // segments
	b = le.AppendUint64(b, 0)          // no sections
	b = le.AppendUint32(b, 0)
	for _, v := range []uint16{header, segment, 1, 0, 0, 0} {
		b = le.AppendUint16(b, v)
	}
	const load, read, execute = 1, 4, 1
	b = le.AppendUint32(b, load)
	b = le.AppendUint32(b, read|execute)
	for _, v := range []uint64{0, base, base, size, size, 0x10000} {
		b = le.AppendUint64(b, v)
	}
	return append(b, nothingText...)
}
