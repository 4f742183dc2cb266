package fswalk

import (
	"errors"
	"fmt"
	"path"

	"golang.org/x/sys/unix"
)

// Dir is one directory that was walked through.
type Dir struct {
	Path string
	Stat unix.Stat_t
	// WritableByOthers: see [WritableByOthers].
	WritableByOthers bool
}

// Sticky reports whether the directory protects its entries from everyone but
// their owners.
func (d Dir) Sticky() bool { return d.Stat.Mode&unix.S_ISVTX != 0 }

// Walk is the result of walking to a directory. FD is an O_PATH descriptor of
// the last directory; Close it.
type Walk struct {
	Dirs []Dir // from "/" down; the last one is the directory itself
	FD   int
}

// Close releases the descriptor.
func (w *Walk) Close() error { return unix.Close(w.FD) }

// Last is the directory that was walked to.
func (w *Walk) Last() Dir { return w.Dirs[len(w.Dirs)-1] }

// To walks to the directory with the given canonical path, which must be
// absolute and without "." and "..".
func To(canonical string, ids *Identities) (*Walk, error) {
	if !path.IsAbs(canonical) || path.Clean(canonical) != canonical {
		return nil, fmt.Errorf("%q is not a canonical path", canonical)
	}
	fd, err := Open(unix.AT_FDCWD, "/", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return nil, fmt.Errorf("open /: %w", err)
	}
	w := &Walk{FD: fd}
	if err := w.add("/", ids); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	at := "/"
	for _, name := range Segments(canonical) {
		at = path.Join(at, name)
		next, err := Open(w.FD, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW)
		if err != nil {
			return nil, errors.Join(changed(at, err), w.Close())
		}
		if err := w.Close(); err != nil {
			return nil, errors.Join(err, unix.Close(next))
		}
		w.FD = next
		if err := w.add(at, ids); err != nil {
			return nil, errors.Join(err, w.Close())
		}
	}
	return w, nil
}

func (w *Walk) add(at string, ids *Identities) error {
	d := Dir{Path: at}
	if err := unix.Fstat(w.FD, &d.Stat); err != nil {
		return fmt.Errorf("stat %s: %w", at, err)
	}
	d.WritableByOthers = WritableByOthers(w.FD, &d.Stat, ids)
	w.Dirs = append(w.Dirs, d)
	return nil
}

// Leaf opens the last component below the walked directory, whatever it is,
// without following a link and without any effect on it (O_PATH).
func (w *Walk) Leaf(name string) (int, error) {
	fd, err := Open(w.FD, name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return -1, changed(path.Join(w.Last().Path, name), err)
	}
	return fd, nil
}

// changed tells a component that vanished or became a link from other errors.
func changed(at string, err error) error {
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		return fmt.Errorf("%w at %s (%w)", ErrChanged, at, err)
	}
	return fmt.Errorf("open %s: %w", at, err)
}

// WritableByOthers reports whether a user other than the owner and root can
// write the open file or directory: by the bits for others, or by those for the
// group unless the group is 0 or the launching user's own private group. An
// access list that grants group-class writing counts as others, because its
// entries may name anyone.
func WritableByOthers(fd int, st *unix.Stat_t, ids *Identities) bool {
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		return false
	}
	if st.Mode&0o002 != 0 {
		return true
	}
	if st.Mode&0o020 == 0 {
		return false
	}
	return hasACL(fd) || (st.Gid != 0 && !ids.PrivateGroup(st.Gid))
}

// hasACL reads the attribute by the descriptor's own name, as O_PATH
// descriptors refuse fgetxattr.
func hasACL(fd int) bool {
	n, err := unix.Getxattr(fmt.Sprintf("/proc/self/fd/%d", fd), "system.posix_acl_access", nil)
	if err == nil {
		return n > 0
	}
	return !errors.Is(err, unix.ENODATA) && !errors.Is(err, unix.EOPNOTSUPP)
}
