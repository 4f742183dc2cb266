package measure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/sealed"
)

// ScriptLine is the first line of the measured script.
func (t *Target) ScriptLine() (ScriptLine, error) {
	head := make([]byte, headSize)
	n, err := t.image().ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return ScriptLine{}, err
	}
	return ParseScriptLine(head[:n])
}

// Seal copies the measured file into memory that nobody can change, and
// compares the digest of that copy with the measured one. The copy is open for
// reading, close-on-exec, and the caller's to close.
func (t *Target) Seal(ctx context.Context) (*os.File, error) {
	f, err := sealed.Make(filepath.Base(t.Binary.Path), func(to *os.File) error {
		return copyAt(ctx, to, t.image(), t.Binary.Size)
	})
	if err != nil {
		return nil, fmt.Errorf("copy %s: %w", t.Binary.Path, err)
	}
	defer f.Close()
	sum, err := SHA256(ctx, f, t.Binary.Size)
	if err == nil && sum != t.Digest {
		err = errors.New("it is not what was measured")
	}
	if err != nil {
		return nil, fmt.Errorf("hash the copy of %s: %w", t.Binary.Path, err)
	}
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the copy of %s: %w", f.Name(), err)
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}
