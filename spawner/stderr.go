package spawner

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/fault"
	"github.com/spawnward/spawnward/spawner/fswalk"
	"github.com/spawnward/spawnward/spawner/private"
	"github.com/spawnward/spawnward/spawner/service"
)

// stderrTarget is where a backend's standard error goes.
type stderrTarget struct {
	f    *os.File // nil is the null device
	tail bool
}

// openStderr opens the target of a definition. A file must not stand inside the
// allow-root, where it could become a binary, nor in a directory that others
// control.
func openStderr(where, root string, ids *fswalk.Identities) (*stderrTarget, error) {
	switch where {
	case service.StderrNull, "":
		return &stderrTarget{}, nil
	case service.StderrTail:
		f, err := newTail()
		if err != nil {
			return nil, fmt.Errorf("keep standard error: %w", err)
		}
		return &stderrTarget{f: f, tail: true}, nil
	}
	dir, err := private.Open(ids, filepath.Dir(where))
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir.Path(), filepath.Base(where))
	if err := dir.Close(); err != nil {
		return nil, err
	}
	if fault.Mutant("stderr-anywhere") {
		root = "/no/root"
	}
	if path == root || strings.HasPrefix(path, strings.TrimSuffix(root, "/")+"/") {
		return nil, code.New("open "+where+" for standard error", code.ServiceInvalid, errors.New("it stands inside the allow-root "+root))
	}
	f, err := openAppend(path)
	if err != nil {
		return nil, err
	}
	return &stderrTarget{f: f}, nil
}

func (t *stderrTarget) file() *os.File { return t.f }

func (t *stderrTarget) close() {
	if t.f != nil {
		_ = t.f.Close() // the child has its own; nothing is buffered here
	}
}

// lastWords is what the backend wrote last, if it was kept, in a form that is
// safe to print.
func (t *stderrTarget) lastWords() string {
	if t == nil || !t.tail || t.f == nil {
		return ""
	}
	var b strings.Builder
	for _, r := range string(readTail(t.f)) {
		switch {
		case r == '\n' || r == '\t' || r >= ' ' && r != 0x7f && (r < 0x80 || r > 0x9f):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\x%02x`, r)
		}
	}
	return strings.TrimSpace(b.String())
}
