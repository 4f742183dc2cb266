package private

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/fault"
	"github.com/spawnward/spawnward/spawner/fswalk"
)

// Tree is an open directory of settings that nobody but root and one user could
// have written. Close it.
type Tree struct {
	root *os.Root
	path string
	ids  *fswalk.Identities
}

// OpenTree opens a directory to read what is in it. It, every directory above it
// and every link on the way to it belong to root or the user uid, and are
// writable by nobody else. It changes nothing. A path that does not exist is
// fs.ErrNotExist; one that is unsafe has the code directory_unsafe.
func OpenTree(uid int, path string) (*Tree, error) {
	ids := fswalk.NewIdentities(uid)
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, failed("open directory", path, err)
	}
	if err := trustedLinks(absolute, ids); err != nil {
		return nil, err
	}
	w, err := walkTrusted(absolute, ids, false)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	root, err := os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", w.FD))
	if err != nil {
		return nil, failed("open directory", path, err)
	}
	return &Tree{root: root, path: w.Last().Path, ids: ids}, nil
}

// walkTrusted resolves a path and walks to the directory it leads to. With
// below, the last one may be sticky.
func walkTrusted(path string, ids *fswalk.Identities, below bool) (*fswalk.Walk, error) {
	canonical, err := fswalk.Resolve(path)
	if err != nil {
		return nil, failed("open directory", path, err)
	}
	w, err := fswalk.To(canonical, ids)
	if errors.Is(err, unix.ENOTDIR) && isFile(canonical) {
		return nil, unsafeDir(path, "%w", unix.ENOTDIR)
	}
	if err != nil {
		return nil, failed("open directory", path, err)
	}
	if err := trusted(w, ids, below); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// isFile tells somebody's mistake from a path that changes while it is walked.
func isFile(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && !info.IsDir()
}

// trustedLinks checks the links among the components of a path: who can replace
// one chooses what is read.
func trustedLinks(path string, ids *fswalk.Identities) error {
	for ; path != "/"; path = filepath.Dir(path) {
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return failed("open directory", path, err)
		}
		if st.Mode&unix.S_IFMT != unix.S_IFLNK {
			continue
		}
		if st.Uid != 0 && int(st.Uid) != ids.UID() {
			return unsafeDir(path, "the link belongs to user %d, not to user %d or root", st.Uid, ids.UID())
		}
		w, err := walkTrusted(filepath.Dir(path), ids, true)
		if err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return failed("open directory", path, err)
		}
	}
	return nil
}

// Path is the canonical path of the directory.
func (t *Tree) Path() string { return t.path }

// Close releases the directory.
func (t *Tree) Close() error { return t.root.Close() }

// FS lists the directory and what is below it. What it lists is checked only by
// [Tree.Dir] and [Tree.Read].
func (t *Tree) FS() fs.FS { return t.root.FS() }

// Dir checks a directory below the tree as [OpenTree] checks the tree itself.
func (t *Tree) Dir(name string) error {
	f, _, err := t.open(name, unix.S_IFDIR, "it is not a directory")
	if err != nil {
		return err
	}
	return f.Close()
}

// Read reads a regular file of at most limit bytes that nobody but root and the
// user could have written. The directories it is in must have been checked.
func (t *Tree) Read(name string, limit int64) ([]byte, error) {
	f, size, err := t.open(name, unix.S_IFREG, "it is not a regular file")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := readAtMost(f, size, limit)
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("it is larger than %d bytes", limit)
	}
	if err != nil {
		return nil, failed("read", filepath.Join(t.path, name), err)
	}
	return data, nil
}

// open neither blocks on what is no file nor has any effect on it.
func (t *Tree) open(name string, kind uint32, other string) (*os.File, int64, error) {
	path := filepath.Join(t.path, name)
	f, err := t.root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, 0, failed("open", path, err)
	}
	var st unix.Stat_t
	err = unix.Fstat(int(f.Fd()), &st)
	switch {
	case err != nil:
		err = failed("open", path, err)
	case st.Mode&unix.S_IFMT != kind:
		err = unsafeDir(path, "%s", other)
	case st.Uid != 0 && int(st.Uid) != t.ids.UID():
		err = unsafeDir(path, "it belongs to user %d, not to user %d or root", st.Uid, t.ids.UID())
	case fswalk.WritableByOthers(int(f.Fd()), &st, t.ids) && !fault.Mutant("policy-anybody-writes"):
		err = unsafeDir(path, "others can write it (owner %d, group %d, mode %04o); run: chmod go-w %q", st.Uid, st.Gid, st.Mode&0o7777, path)
	default:
		return f, st.Size, nil
	}
	return nil, 0, errors.Join(err, f.Close())
}
