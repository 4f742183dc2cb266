package process

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spawnward/spawnward/spawner/sealed"
)

// The starter is what a child with [Spec.Stop] executes first: some thirty
// instructions of our own, without a stack frame, a library or a writable page.
// It closes the one gap that a fork leaves. A child that asks to be traced by a
// parent which is already being killed is told that it is, and its death signal
// comes only at the end of the parent's exit: the program that it executes would
// begin. The starter executes it only
//
//  1. when asking once more to be traced is refused (EPERM), which is what the
//     truth looks like. Then its tracer has seen it stop at its own exec, and the
//     kernel ends it with the tracer;
//  2. after taking back the death signal, so that the program outlives its
//     launcher once it is released;
//  3. after marking the program's descriptor close-on-exec, which had to survive
//     the first exec.
//
// What fails is its exit status: the error's number, or 0 when nobody traces it.

// makeStarter writes a starter for the program behind the descriptor into a sealed
// memory file, which no mount option and no Landlock rule is about.
func makeStarter(program int, path string) (*os.File, error) {
	image, err := starterImage(program, path)
	if err != nil {
		return nil, err
	}
	f, err := sealed.Make("spawnward", func(f *os.File) error {
		_, err := f.Write(image)
		return err
	})
	if err != nil {
		return nil, err
	}
	got := make([]byte, len(image)+1)
	if n, err := f.ReadAt(got, 0); !errors.Is(err, io.EOF) || !bytes.Equal(got[:n], image) {
		return nil, errors.Join(errors.New("another program wrote into the starter"), f.Close())
	}
	return f, nil
}

// starterImage is the smallest program that the kernel loads: one segment that can
// be read and executed.
func starterImage(program int, path string) ([]byte, error) {
	text := starterText()
	if text == nil {
		return nil, fmt.Errorf("stop at exec on this processor: %w", errors.ErrUnsupported)
	}
	const base, header, segment = 0x400000, 64, 56
	const start = header + 2*segment
	le := binary.LittleEndian
	size := uint64(start + len(text) + 4 + len(path) + 1)

	b := append(make([]byte, 0, size), "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
	b = le.AppendUint16(b, 2) // an executable
	b = le.AppendUint16(b, starterMachine)
	b = le.AppendUint32(b, 1)
	b = le.AppendUint64(b, base+start) // entry
	b = le.AppendUint64(b, header)     // segments
	b = le.AppendUint64(b, 0)          // no sections
	b = le.AppendUint32(b, 0)
	for _, v := range []uint16{header, segment, 2, 0, 0, 0} {
		b = le.AppendUint16(b, v)
	}
	const load, stack, read, write, execute = 1, 0x6474e551, 4, 2, 1
	b = le.AppendUint32(b, load)
	b = le.AppendUint32(b, read|execute)
	for _, v := range []uint64{0, base, base, size, size, 0x10000} {
		b = le.AppendUint64(b, v)
	}
	b = le.AppendUint32(b, stack)
	b = le.AppendUint32(b, read|write)
	b = append(b, make([]byte, segment-8)...)

	b = append(b, text...)
	b = le.AppendUint32(b, uint32(program))
	b = append(b, path...)
	return append(b, 0), nil
}
