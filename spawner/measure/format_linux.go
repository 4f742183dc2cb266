package measure

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path"
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
	maxInterpBytes = 64 << 20
)

// format says how the kernel would run the file, as far as its first bytes
// tell, and measures the interpreter that an ELF file or a script names.
func format(ctx context.Context, f *os.File, ids *fswalk.Identities) (string, admission.Interp) {
	head := make([]byte, 256)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return "unknown", admission.Interp{}
	}
	head = head[:n]
	switch {
	case bytes.HasPrefix(head, []byte("#!")):
		return "script", interpreter(ctx, scriptInterpreter(head), ids)
	case bytes.HasPrefix(head, []byte(elf.ELFMAG)):
		p, err := elfInterpreter(f)
		if err != nil {
			return "unknown", admission.Interp{Error: strings.ToValidUTF8(err.Error(), "?")}
		}
		return "elf", interpreter(ctx, p, ids)
	}
	return "unknown", admission.Interp{}
}

// scriptInterpreter is the first word after "#!" (execve(2)).
func scriptInterpreter(head []byte) string {
	line, _, _ := bytes.Cut(head[2:], []byte("\n"))
	words := strings.Fields(string(line))
	if len(words) == 0 {
		return ""
	}
	return strings.ToValidUTF8(words[0], "?")
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
		text, _, _ := strings.Cut(string(name), "\x00")
		return strings.ToValidUTF8(text, "?"), nil
	}
	return "", nil
}

// interpreter measures the file that the kernel would run in the binary's place.
func interpreter(ctx context.Context, name string, ids *fswalk.Identities) admission.Interp {
	in := admission.Interp{Path: name}
	if name == "" {
		return in
	}
	if err := measureInterpreter(ctx, &in, ids); err != nil {
		in.Error = reason(err)
	}
	return in
}

func measureInterpreter(ctx context.Context, in *admission.Interp, ids *fswalk.Identities) error {
	canonical, err := fswalk.Resolve(in.Path)
	if err != nil {
		return err
	}
	in.Canonical = canonical
	walk, err := fswalk.To(path.Dir(canonical), ids)
	if err != nil {
		return err
	}
	defer walk.Close()
	fd, err := unix.Openat(walk.FD, path.Base(canonical), unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), canonical)
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size > maxInterpBytes {
		return fmt.Errorf("%s is a %s of %d bytes, not an interpreter", canonical, kind(st.Mode), st.Size)
	}
	in.UID, in.Mode = int64(st.Uid), int64(st.Mode&0o7777)
	in.WritableByOthers = fswalk.WritableByOthers(fd, &st, ids) ||
		slices.ContainsFunc(walk.Dirs, func(d fswalk.Dir) bool { return d.WritableByOthers || d.Stat.Uid != 0 })
	in.SystemPlace = systemPlace(canonical)
	sum, err := SHA256(ctx, f, st.Size)
	if err != nil {
		return err
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
