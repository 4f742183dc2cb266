package measure

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/fault"
	"github.com/spawnward/spawnward/spawner/fswalk"
)

// Measure opens, walks and hashes the binary at the absolute path binary, and
// walks to the allow-root. A file of more than limits.Bytes is not hashed. An error
// is of type *[Error] or the context's.
func Measure(ctx context.Context, binary, root string, limits Limits, ids *fswalk.Identities) (*Target, error) {
	var last error
	for range Attempts {
		t := &Target{}
		err := t.fill(ctx, binary, root, limits, ids)
		if err == nil {
			return t, nil
		}
		if err := t.Close(); err != nil {
			return nil, &Error{C: code.MeasureFailed, Path: binary, Err: err}
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("measure %s: %w", binary, ctx.Err())
		}
		if !errors.Is(err, fswalk.ErrChanged) {
			return nil, &Error{C: code.MeasureFailed, Path: binary, Err: err}
		}
		last = err
	}
	return nil, &Error{C: code.PathChanged, Path: binary, Err: fmt.Errorf("%w, in each of %d attempts", last, Attempts)}
}

func (t *Target) fill(ctx context.Context, binary, root string, limits Limits, ids *fswalk.Identities) error {
	rootID, err := t.fillRoot(root, ids)
	if err != nil {
		return err
	}
	if err := t.fillBinary(ctx, binary, limits, ids); err != nil {
		return err
	}
	t.Binary.InsideRoot = t.inside(rootID)
	return nil
}

// inside holds when the root's own inode was walked through at the depth where
// its path is a prefix, by component, of the binary's path.
func (t *Target) inside(root fileID) bool {
	depth := len(t.Root.Segments)
	if t.Root.Error != "" || t.Binary.Error != "" || depth >= len(t.walked) || depth >= len(t.Binary.Segments) {
		return false
	}
	return t.Binary.Ancestors[depth].Path == t.Root.Path && t.walked[depth] == root
}

func (t *Target) fillRoot(requested string, ids *fswalk.Identities) (fileID, error) {
	t.Root = empty(requested)
	f := &t.Root
	if requested == "" {
		return fileID{}, fail(f, code.AllowRootEmpty, "per_version_binary_dir is not set")
	}
	canonical, err := resolve(requested)
	if err != nil {
		return fileID{}, fail(f, code.AllowRootUnresolvable, reason(err))
	}
	f.Path, f.Segments = canonical, fswalk.Segments(canonical)
	walk, name, err := parent(canonical, ids)
	if err != nil {
		return fileID{}, unlessChanged(f, code.AllowRootUnresolvable, err)
	}
	fd, err := openLeaf(walk, name)
	if err != nil {
		return fileID{}, errors.Join(unlessChanged(f, code.AllowRootUnresolvable, err), walk.Close())
	}
	defer unix.Close(fd)
	ancestors(f, walk)
	if err := walk.Close(); err != nil {
		return fileID{}, err
	}
	var st unix.Stat_t
	if err := facts(f, fd, &st, ids); err != nil {
		return fileID{}, err
	}
	if f.Kind != "directory" {
		return fileID{}, fail(f, code.AllowRootNotDirectory, "it is a "+f.Kind)
	}
	f.Broad = broad(canonical, ids)
	return fileID{st.Dev, st.Ino}, nil
}

func (t *Target) fillBinary(ctx context.Context, requested string, limits Limits, ids *fswalk.Identities) error {
	t.Binary = empty(requested)
	f := &t.Binary
	if requested == "" {
		return fail(f, code.BinaryPathEmpty, "binary_path is not set")
	}
	canonical, err := resolve(requested)
	if err != nil {
		return fail(f, code.BinaryUnresolvable, reason(err))
	}
	f.Path, f.Segments = canonical, fswalk.Segments(canonical)
	walk, name, err := parent(canonical, ids)
	if err != nil {
		return unlessChanged(f, code.BinaryUnresolvable, err)
	}
	fd, err := openLeaf(walk, name)
	if err != nil {
		return errors.Join(unlessChanged(f, code.BinaryUnresolvable, err), walk.Close())
	}
	defer unix.Close(fd)
	ancestors(f, walk)
	for _, d := range walk.Dirs {
		t.walked = append(t.walked, fileID{d.Stat.Dev, d.Stat.Ino})
	}
	if err := walk.Close(); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := facts(f, fd, &st, ids); err != nil {
		return err
	}
	if f.Kind != "regular" {
		return nil
	}
	return t.read(ctx, fd, &st, limits, ids)
}

// read opens the very inode behind the O_PATH descriptor for reading and hashes
// it; only a regular file gets here, so that opening has no side effect.
func (t *Target) read(ctx context.Context, opath int, before *unix.Stat_t, limits Limits, ids *fswalk.Identities) error {
	f := &t.Binary
	fd, err := reopen(opath)
	if ownFailure(err) {
		return fmt.Errorf("open: %w", err)
	}
	if err != nil {
		return fail(f, code.BinaryUnresolvable, "it cannot be opened for reading: "+err.Error())
	}
	t.File = os.NewFile(uintptr(fd), f.Path)
	limits.SealedBytes = min(limits.SealedBytes, limits.Bytes)
	if err := t.hold(ctx, limits); err != nil {
		return t.shorter(err)
	}
	fault.At(fault.MeasureOpened)
	f.Format, f.Interp, err = format(ctx, t.image(), ids)
	if err != nil {
		return err
	}
	if f.Size > limits.Bytes {
		return nil
	}
	t.key = t.cacheable(limits.Cache)
	if !t.recall(limits.Cache) {
		t.Digest, err = SHA256(ctx, leased{t}, f.Size)
		if err := t.shorter(err); err != nil {
			return err
		}
	}
	var after unix.Stat_t
	if err := unix.Fstat(fd, &after); err != nil {
		return fmt.Errorf("stat: %w", err)
	}
	if !SameContent(before, &after) {
		return fmt.Errorf("%w: %s was written while it was hashed", fswalk.ErrChanged, f.Path)
	}
	if err := t.intact(); err != nil {
		return err
	}
	f.SHA256, t.Hashed = hex.EncodeToString(t.Digest[:]), true
	return nil
}

// shorter turns the end of a file before its size into a change of the file.
func (t *Target) shorter(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %s became shorter", fswalk.ErrChanged, t.Binary.Path)
	}
	return err
}

// reopen opens the regular file behind an O_PATH descriptor for reading. It does
// not wait for somebody who holds a write lease on the file.
func reopen(opath int) (int, error) {
	fd, err := fswalk.Open(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", opath), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
	if errors.Is(err, unix.EAGAIN) {
		err = fmt.Errorf("a process holds a write lease on it: %w", err)
	}
	return fd, err
}

// SameContent compares what betrays a write: inode, size, modification and
// change time.
func SameContent(a, b *unix.Stat_t) bool {
	return a.Dev == b.Dev && a.Ino == b.Ino && a.Size == b.Size && a.Mtim == b.Mtim && a.Ctim == b.Ctim
}

// parent walks to the directory that holds the last component; for "/" to "/"
// itself with the name ".".
func parent(canonical string, ids *fswalk.Identities) (*fswalk.Walk, string, error) {
	if canonical == "/" {
		w, err := fswalk.To("/", ids)
		return w, ".", err
	}
	w, err := fswalk.To(path.Dir(canonical), ids)
	return w, path.Base(canonical), err
}

func openLeaf(w *fswalk.Walk, name string) (int, error) {
	fd, err := w.Leaf(name)
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		return -1, errors.Join(fmt.Errorf("%w: %s became a link", fswalk.ErrChanged, name), unix.Close(fd))
	}
	return fd, nil
}

// ownFailure tells what this process or the machine has run out of from what a
// file is: it must not be held against the file.
func ownFailure(err error) bool {
	for _, e := range []error{unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.EIO, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// unlessChanged turns an error into a fact, except a path that changed, which
// is tried again, and a failure that is not the file's.
func unlessChanged(f *admission.File, c code.Code, err error) error {
	if errors.Is(err, fswalk.ErrChanged) || ownFailure(err) {
		return err
	}
	return fail(f, c, reason(err))
}

func fail(f *admission.File, c code.Code, detail string) error {
	f.Error, f.Detail = string(c), detail
	return nil
}
