package measure

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/fswalk"
)

// maxInterp bounds the interpreter's path, as PATH_MAX does in the kernel, and
// maxInterpBytes the interpreter's size.
const (
	maxInterp      = 4096
	maxInterpBytes = 256 << 20
)

// format says how the kernel would run the file, as far as its first bytes
// tell, and measures the interpreter that an ELF file or a script names.
// An error is of this process, not of the file.
func format(ctx context.Context, f *os.File, ids *fswalk.Identities) (string, admission.Interp, error) {
	head := make([]byte, headSize)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return "unknown", admission.Interp{}, nil
	}
	head = head[:n]
	switch {
	case bytes.HasPrefix(head, []byte("#!")):
		in, err := interpreter(ctx, scriptInterpreter(head), ids)
		return "script", in, err
	case bytes.HasPrefix(head, []byte(elf.ELFMAG)):
		p, err := elfInterpreter(f)
		if err != nil {
			return "unknown", admission.Interp{Error: printable(err.Error())}, nil
		}
		in, err := interpreter(ctx, p, ids)
		return "elf", in, err
	}
	return "unknown", admission.Interp{}, nil
}

// scriptInterpreter is the first word after "#!", taken as the kernel takes it:
// only blanks, tabs, a newline and NUL end a word. A word that goes on after the
// first bytes is none.
func scriptInterpreter(head []byte) string {
	if len(head) < headSize {
		head = append(head[:len(head):len(head)], 0)
	}
	line := bytes.TrimLeft(head[2:], " \t")
	end := bytes.IndexAny(line, " \t\n\x00")
	if end < 0 {
		return ""
	}
	return string(line[:end])
}

// classOf says which layout the kernel assumes for a machine. It does not look
// at the class and byte order that the file claims, so a file that claims others
// would be read differently here and there.
func classOf(m elf.Machine) elf.Class {
	switch m {
	case elf.EM_X86_64, elf.EM_AARCH64:
		return elf.ELFCLASS64
	case elf.EM_386, elf.EM_ARM:
		return elf.ELFCLASS32
	}
	return elf.ELFCLASSNONE
}

// native reports whether the kernel of this processor itself can run programs
// for a machine. Others are run, if at all, by a helper that somebody registered
// with binfmt_misc.
func native(m elf.Machine) bool {
	switch runtime.GOARCH {
	case "amd64", "386":
		return m == elf.EM_X86_64 || m == elf.EM_386
	case "arm64", "arm":
		return m == elf.EM_AARCH64 || m == elf.EM_ARM
	case "riscv64":
		return m == elf.EM_RISCV
	case "loong64":
		return m == elf.EM_LOONGARCH
	case "ppc64", "ppc64le":
		return m == elf.EM_PPC64 || m == elf.EM_PPC
	case "s390x":
		return m == elf.EM_S390
	case "mips", "mipsle", "mips64", "mips64le":
		return m == elf.EM_MIPS
	}
	return false
}

// elfInterpreter is the text of PT_INTERP; "" for a static program.
func elfInterpreter(r io.ReaderAt) (string, error) {
	f, err := elf.NewFile(r)
	if err != nil {
		return "", err
	}
	if f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN {
		return "", fmt.Errorf("ELF type %v is no program", f.Type)
	}
	if !native(f.Machine) {
		return "", fmt.Errorf("a program for %v, which this machine runs through a helper if at all", f.Machine)
	}
	order, class := []byte{1, 0}, classOf(f.Machine)
	if f.ByteOrder.Uint16(order) != binary.NativeEndian.Uint16(order) || class != elf.ELFCLASSNONE && f.Class != class {
		return "", fmt.Errorf("%v with %v is no program for %v here", f.Class, f.Data, f.Machine)
	}
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		if p.Filesz == 0 || p.Filesz > maxInterp {
			return "", fmt.Errorf("an interpreter name of %d bytes", p.Filesz)
		}
		name := make([]byte, p.Filesz)
		if _, err := p.ReadAt(name, 0); err != nil {
			return "", err
		}
		text, _, ended := strings.Cut(string(name), "\x00")
		if !ended || text == "" {
			return "", errors.New("an interpreter name without an end or without letters")
		}
		return text, nil
	}
	return "", nil
}

// interpreter measures the file that the kernel would run in the binary's place.
func interpreter(ctx context.Context, name string, ids *fswalk.Identities) (admission.Interp, error) {
	in := admission.Interp{Path: printable(name)}
	if name == "" {
		return in, nil
	}
	if err := measureInterpreter(ctx, &in, name, ids); err != nil {
		if ownFailure(err) {
			return in, fmt.Errorf("interpreter %s: %w", in.Path, err)
		}
		in.Error = reason(err)
	}
	return in, nil
}

func measureInterpreter(ctx context.Context, in *admission.Interp, name string, ids *fswalk.Identities) error {
	canonical, err := resolve(name)
	if err != nil {
		return err
	}
	in.Canonical = canonical
	walk, err := fswalk.To(path.Dir(canonical), ids)
	if err != nil {
		return err
	}
	defer walk.Close()
	leaf, err := walk.Leaf(path.Base(canonical))
	if err != nil {
		return err
	}
	defer unix.Close(leaf)
	var before, after unix.Stat_t
	if err := unix.Fstat(leaf, &before); err != nil {
		return err
	}
	if before.Mode&unix.S_IFMT != unix.S_IFREG || before.Size > maxInterpBytes {
		return fmt.Errorf("%s is a %s of %d bytes, not an interpreter", canonical, kind(before.Mode), before.Size)
	}
	in.UID, in.Mode = int64(before.Uid), int64(before.Mode&0o7777)
	in.WritableByOthers = fswalk.WritableByOthers(leaf, &before, ids) ||
		slices.ContainsFunc(walk.Dirs, func(d fswalk.Dir) bool { return d.WritableByOthers || d.Stat.Uid != 0 })
	in.SystemPlace = systemPlace(canonical)
	fd, err := reopen(leaf)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), canonical)
	defer f.Close()
	sum, err := SHA256(ctx, f, before.Size)
	if err != nil {
		return err
	}
	if err := unix.Fstat(leaf, &after); err != nil {
		return err
	}
	if !SameContent(&before, &after) {
		return fmt.Errorf("%s was written while it was hashed", canonical)
	}
	in.SHA256 = hex.EncodeToString(sum[:])
	return nil
}

// systemPlace holds for files below the directories where systems keep their
// dynamic loaders and script interpreters.
func systemPlace(canonical string) bool {
	for _, dir := range strings.Fields("/lib /lib32 /lib64 /libx32 /usr/lib /usr/lib32 /usr/lib64 /usr/libx32 /usr/libexec /bin /usr/bin /nix/store /gnu/store") {
		if strings.HasPrefix(canonical, dir+"/") {
			return true
		}
	}
	return false
}
