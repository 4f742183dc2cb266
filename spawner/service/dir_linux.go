package service

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

const openNonblock = unix.O_NONBLOCK

// dir is a services directory that was walked to and checked; everything in it
// is reached relative to its descriptor.
type dir struct {
	path  string
	fd    int
	place place
}

// Close releases the descriptor.
func (d *dir) Close() { _ = unix.Close(d.fd) }

// openDir walks to a directory by descriptors and checks it and every directory
// above it. The error wraps errNotThere or an unsafeError.
func openDir(p place) (*dir, error) {
	if !filepath.IsAbs(p.path) {
		return nil, &unsafeError{fmt.Errorf("%s is not an absolute path; write it from '/' on", quoteShort(p.path))}
	}
	if len(p.path) > maxPath {
		return nil, &unsafeError{fmt.Errorf("the services directory %s has a path of %d bytes; the limit is %d", quoteShort(p.path), len(p.path), maxPath)}
	}
	clean := filepath.Clean(p.path)
	above, err := fswalk.Resolve(filepath.Dir(clean))
	if err != nil {
		return nil, notOpened(p.path, err)
	}
	walk, err := fswalk.To(above, fswalk.NewIdentities(p.uid))
	if err != nil {
		return nil, notOpened(p.path, err)
	}
	defer walk.Close()
	leaf, err := openat(walk.FD, filepath.Base(clean), unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return nil, notOpened(p.path, err)
	}
	d := &dir{path: p.path, fd: leaf, place: p}
	if err := d.check(walk.Dirs); err != nil {
		d.Close()
		return nil, &unsafeError{err}
	}
	return d, nil
}

func notOpened(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fswalk.ErrChanged) {
		return errNotThere
	}
	return &unsafeError{fmt.Errorf("open the services directory %s: %w", path, cause(err))}
}

func (d *dir) check(above []fswalk.Dir) error {
	var st unix.Stat_t
	if err := unix.Fstat(d.fd, &st); err != nil {
		return fmt.Errorf("look at %s: %w", d.path, err)
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		return fmt.Errorf("the services directory %s is a link; name the directory itself", d.path)
	case unix.S_IFDIR:
	default:
		return fmt.Errorf("the services directory %s is no directory", d.path)
	}
	mode := st.Mode & 0o7777
	if !d.trusts(st.Uid) {
		return fmt.Errorf("the services directory %s belongs to uid %d and has mode %04o; it must belong to %s", d.path, st.Uid, mode, d.owners())
	}
	if d.place.system && mode&0o022 != 0 {
		return fmt.Errorf("the services directory %s belongs to uid %d and has mode %04o; only root may write there: chmod go-w %s", d.path, st.Uid, mode, d.path)
	}
	if !d.place.system && mode&0o077 != 0 && !fault.Mutant("open-services-directory") {
		return fmt.Errorf("the services directory %s belongs to uid %d and has mode %04o; it must be private to its owner: chmod 0700 %s", d.path, st.Uid, mode, d.path)
	}
	return d.checkAbove(above, st.Uid)
}

// checkAbove refuses a way to the directory that somebody else can bend.
func (d *dir) checkAbove(above []fswalk.Dir, child uint32) error {
	for i := len(above) - 1; i >= 0; i-- {
		a := above[i]
		mode := a.Stat.Mode & 0o7777
		if !d.trusts(a.Stat.Uid) {
			return fmt.Errorf("%s, above the services directory, belongs to uid %d and has mode %04o; it must belong to %s", a.Path, a.Stat.Uid, mode, d.owners())
		}
		if a.WritableByOthers && !(a.Sticky() && d.trusts(child)) {
			return fmt.Errorf("%s, above the services directory, belongs to uid %d and has mode %04o, so others can replace what is in it: chmod go-w %s", a.Path, a.Stat.Uid, mode, a.Path)
		}
		child = a.Stat.Uid
	}
	return nil
}

func (d *dir) trusts(uid uint32) bool { return uid == 0 || int(uid) == d.place.uid }

func (d *dir) owners() string {
	if d.place.uid == 0 {
		return "root"
	}
	return fmt.Sprintf("uid %d or root", d.place.uid)
}

func (d *dir) lstat(base string) error {
	var st unix.Stat_t
	return unix.Fstatat(d.fd, base, &st, unix.AT_SYMLINK_NOFOLLOW)
}

func (d *dir) names() ([]string, error) {
	fd, err := openat(d.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, notOpened(d.path, err)
	}
	f := os.NewFile(uintptr(fd), d.path)
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, notOpened(d.path, err)
	}
	return names, nil
}

// read opens a file without following a link, checks who can change it and
// reads it once.
func (d *dir) read(base string) (*Loaded, []byte, error) {
	fd, err := openat(d.fd, base, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY)
	if errors.Is(err, unix.ELOOP) {
		return nil, nil, errors.New("it is a link; put the file itself into the services directory")
	}
	if err != nil {
		return nil, nil, err
	}
	f := os.NewFile(uintptr(fd), base)
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, nil, err
	}
	mode := st.Mode & 0o7777
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return nil, nil, errors.New("it is no regular file")
	case !d.trusts(st.Uid):
		return nil, nil, fmt.Errorf("it belongs to uid %d and has mode %04o; it must belong to %s", st.Uid, mode, d.owners())
	case mode&0o022 != 0:
		return nil, nil, fmt.Errorf("it belongs to uid %d and has mode %04o; nobody else may write it: chmod go-w", st.Uid, mode)
	}
	data, err := readAll(f, st.Size)
	if err != nil {
		return nil, nil, err
	}
	return &Loaded{OwnerUID: int64(st.Uid), Mode: int64(mode)}, data, nil
}

func openat(dirfd int, name string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(dirfd, name, flags|unix.O_CLOEXEC, 0)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}
