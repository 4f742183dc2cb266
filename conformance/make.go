package conformance

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

// make makes, changes or removes files of the tree, in order.
func (t *tree) make(files []File) error {
	for _, f := range files {
		if err := t.makeOne(f); err != nil {
			return fmt.Errorf("set up %s: %w", f.Path, err)
		}
	}
	return nil
}

// attributesOnly reports whether an entry only changes what is there.
func (f *File) attributesOnly() bool {
	return f.From == "" && f.Content == nil && f.Hex == "" && f.Golden == "" && f.Link == "" && f.Hard == "" && !f.Dir && !f.Fifo && f.Sparse == 0
}

func (t *tree) makeOne(f File) error {
	path := t.path(f.Path)
	switch {
	case f.Remove:
		return os.RemoveAll(path)
	case f.Rename != "":
		return os.Rename(path, t.path(f.Rename))
	case len(f.Replace) == 2:
		return t.replace(path, f.Replace[0], f.Replace[1])
	case f.Touch:
		return rewrite(path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := t.content(path, f); err != nil {
		return err
	}
	return t.attributes(path, f)
}

// replace edits every file that a pattern fits; there must be one.
func (t *tree) replace(pattern, old, with string) error {
	paths, err := filepath.Glob(pattern)
	if err == nil && len(paths) == 0 {
		err = fs.ErrNotExist
	}
	if err != nil {
		return err
	}
	expression, err := regexp.Compile(old)
	if err != nil {
		return err
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := writeFile(path, expression.ReplaceAll(text, []byte(t.text(with))), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// content gives a file what it is.
func (t *tree) content(path string, f File) error {
	mode := fs.FileMode(0o644)
	switch {
	case f.Link != "":
		return os.Symlink(t.text(f.Link), path)
	case f.Hard != "":
		return os.Link(t.path(f.Hard), path)
	case f.Dir:
		return os.MkdirAll(path, 0o755)
	case f.Fifo:
		return makeFifo(path)
	case f.Content != nil && f.Verbatim:
		return writeFile(path, []byte(*f.Content), mode)
	case f.Content != nil:
		return writeFile(path, []byte(t.text(*f.Content)), mode)
	case f.Hex != "":
		data, err := unhex(f.Hex)
		return errors.Join(err, writeFile(path, data, mode))
	case f.Golden != "":
		text, err := files.ReadFile("cases/golden/" + f.Golden + ".hex")
		if err != nil {
			return err
		}
		data, err := unhex(string(text))
		return errors.Join(err, writeFile(path, data, mode))
	case f.Sparse > 0:
		return errors.Join(writeFile(path, nil, 0o755), os.Truncate(path, f.Sparse))
	case f.From == "elf":
		return writeFile(path, tinyELF(t.text(f.Interp)), 0o755)
	case f.From == "backend" || f.From == "program":
		return copyFile(path, t.program, f.Append, 0o755)
	case f.From != "":
		return copyFile(path, t.path(f.From), f.Append, 0o755)
	}
	_, err := os.Lstat(path)
	return err // only its attributes change
}

// attributes come in the order that the kernel needs: a change of owner takes
// set-id bits away.
func (t *tree) attributes(path string, f File) error {
	if f.UID != nil || f.GID != nil {
		uid, gid := -1, -1
		if f.UID != nil {
			uid = *f.UID
		}
		if f.GID != nil {
			gid = *f.GID
		}
		if err := os.Lchown(path, uid, gid); err != nil {
			return err
		}
	}
	if f.Mode != "" {
		bits, err := strconv.ParseUint(f.Mode, 8, 32)
		if err != nil {
			return err
		}
		if err := chmod(path, uint32(bits)); err != nil {
			return err
		}
	}
	if f.Caps {
		return setCapabilities(path)
	}
	return nil
}

// writeFile and copyFile keep other goroutines from forking meanwhile: a child that
// has not executed yet has the descriptor, too, and a program that somebody can
// write is not started.
func writeFile(path string, data []byte, mode fs.FileMode) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	// A new file, never a write through a link or into a running program.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(path, data, mode)
}

// rewrite opens a file for writing and writes its first byte again. Where
// somebody holds a lease on it, opening breaks the lease and is not waited for:
// the holder may be the launcher, which waits for this.
func rewrite(path string) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	first := make([]byte, 1)
	if _, err := f.ReadAt(first, 0); err != nil {
		return err
	}
	_, err = f.WriteAt(first, 0)
	return err
}

func copyFile(to, from, appended string, mode fs.FileMode) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err == nil {
		_, err = io.WriteString(out, appended)
	}
	return errors.Join(err, out.Close())
}

// unhex reads hexadecimal digits in lines; those that begin with # are prose.
func unhex(text string) ([]byte, error) {
	var digits strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(strings.TrimSpace(line), "#") {
			digits.WriteString(strings.Join(strings.Fields(line), ""))
		}
	}
	return hex.DecodeString(repeated(digits.String()))
}

// repeated replaces "(00ff)*3;" by its three repetitions.
func repeated(digits string) string {
	parts := regexp.MustCompile(`\(([0-9a-f]+)\)\*([0-9]+);`)
	return parts.ReplaceAllStringFunc(digits, func(s string) string {
		m := parts.FindStringSubmatch(s)
		n, err := strconv.Atoi(m[2])
		if err != nil || n > 1<<20 {
			return s // no digits: the caller says so
		}
		return strings.Repeat(m[1], n)
	})
}

// makePolicy writes the site of a case, on top of the site that the whole run is
// about. There is none when neither is given.
func (t *tree) makePolicy(site *site) (string, error) {
	p := t.c.Policy
	if p == nil {
		return site.path(), nil
	}
	dir := t.policy()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	data, _ := t.replaced(p.Data).(map[string]any)
	if err := site.layUnder(dir, data, t.text(p.Raw)); err != nil {
		return "", err
	}
	for name, text := range p.Rego {
		if !strings.Contains(name, "/") {
			name = path.Join("site", name, name+".rego")
		}
		if err := t.makeOne(File{Path: "policy/" + name, Content: &text}); err != nil {
			return "", err
		}
	}
	return dir, t.make(p.Files)
}
