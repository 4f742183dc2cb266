package process

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// The stub is what a child with [Spec.Stop] executes first: some thirty
// instructions of our own, without a stack frame, a library or a writable page.
// It closes the one gap that a fork leaves. A child that asks to be traced by a
// parent which is already being killed is told that it is, and its death signal
// comes only at the end of the parent's exit: the program that it executes would
// begin. The stub executes it only
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

// makeStub writes a stub for the program behind the descriptor into a sealed
// memory file. That is executable wherever files of its kind are
// (vm.memfd_noexec below 2); no mount option and no Landlock rule is about it.
func makeStub(program int, path string) (int, error) {
	image, err := stubImage(program, path)
	if err != nil {
		return -1, err
	}
	return sealedFile("spawnward", func(fd int) error {
		_, err := unix.Pwrite(fd, image, 0)
		return err
	}, func(fd int) error {
		// Until it was sealed, another program of this user could write it.
		got := make([]byte, len(image)+1)
		if n, err := unix.Pread(fd, got, 0); err != nil || !bytes.Equal(got[:n], image) {
			return errors.Join(err, errors.New("another program wrote into the stub"))
		}
		return nil
	})
}

// sealedFile makes an executable memory file, lets it be filled, seals it, and
// lets it be checked.
func sealedFile(name string, fill, check func(fd int) error) (int, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate(name, flags|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3
		fd, err = unix.MemfdCreate(name, flags)
	}
	if errors.Is(err, unix.EACCES) {
		return -1, fmt.Errorf("executable memory files are forbidden (vm.memfd_noexec is 2): %w", err)
	}
	if err != nil {
		return -1, fmt.Errorf("memfd_create: %w", err)
	}
	err = fill(fd)
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_GROW|unix.F_SEAL_SHRINK|unix.F_SEAL_SEAL)
	}
	if err == nil {
		err = check(fd)
	}
	if err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// stubImage is the smallest program that the kernel loads: one segment that can
// be read and executed.
func stubImage(program int, path string) ([]byte, error) {
	text := stubText()
	if text == nil {
		return nil, fmt.Errorf("stop at exec on this processor: %w", errors.ErrUnsupported)
	}
	const base, header, segment = 0x400000, 64, 56
	const start = header + 2*segment
	le := binary.LittleEndian
	size := uint64(start + len(text) + 4 + len(path) + 1)

	b := append(make([]byte, 0, size), "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
	b = le.AppendUint16(b, 2) // an executable
	b = le.AppendUint16(b, stubMachine)
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
