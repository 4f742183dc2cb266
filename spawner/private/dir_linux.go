package private

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/fault"
	"github.com/spawnward/spawnward/spawner/fswalk"
)

// Dir is an open private directory.
type Dir struct {
	f   *os.File
	uid int
}

// Open opens parent/names[0]/names[1]/…, making what is missing. The named
// components are the launcher's own: 0700, of the effective user, no links.
// The parent's path may hold links, but no directory on its canonical path may
// be under somebody else's control. An error has the code directory_unsafe or
// state_failed and names the directory, its owner and mode.
func Open(ids *fswalk.Identities, parent string, names ...string) (*Dir, error) {
	if !filepath.IsAbs(parent) {
		return nil, failed("open directory", parent, errors.New("it is not an absolute path"))
	}
	w, err := openParent(ids, filepath.Clean(parent))
	if err != nil {
		return nil, err
	}
	if err := trusted(w, ids, len(names) > 0); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	at, fd := w.Last().Path, w.FD
	for _, name := range names {
		next, err := openOwn(fd, at, name, ids)
		if cerr := unix.Close(fd); err == nil && cerr != nil {
			err = errors.Join(cerr, unix.Close(next))
		}
		if err != nil {
			return nil, err
		}
		at, fd = filepath.Join(at, name), next
	}
	return &Dir{f: os.NewFile(uintptr(fd), at), uid: ids.UID()}, nil
}

// openParent walks to a directory and makes its missing last components.
func openParent(ids *fswalk.Identities, parent string) (*fswalk.Walk, error) {
	for range 3 { // a dangling link is never made whole by making directories
		canonical, err := fswalk.Resolve(parent)
		if errors.Is(err, fs.ErrNotExist) {
			if err := makeMissing(ids, parent); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, failed("open directory", parent, err)
		}
		w, err := fswalk.To(canonical, ids)
		if err != nil {
			return nil, failed("open directory", parent, err)
		}
		return w, nil
	}
	return nil, failed("open directory", parent, errors.New("it is a link that leads nowhere"))
}

// makeMissing makes the first missing component of path, below a directory that
// nobody else controls.
func makeMissing(ids *fswalk.Identities, path string) error {
	up := filepath.Dir(path)
	w, err := openParent(ids, up)
	if err != nil {
		return err
	}
	defer w.Close()
	if err := trusted(w, ids, true); err != nil {
		return err
	}
	err = unix.Mkdirat(w.FD, filepath.Base(path), 0o700)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return failed("make directory", path, err)
	}
	return nil
}

// trusted checks every directory that was walked through. A sticky one is safe
// when the next component belongs to the user or root; for the last one that is
// checked of the component that is opened below it.
func trusted(w *fswalk.Walk, ids *fswalk.Identities, below bool) error {
	ours := func(uid uint32) bool { return uid == 0 || int(uid) == ids.UID() }
	for i, d := range w.Dirs {
		if !ours(d.Stat.Uid) {
			return unsafeDir(d.Path, "it belongs to user %d, not to user %d or root, who could replace what is below it", d.Stat.Uid, ids.UID())
		}
		last := i == len(w.Dirs)-1
		safe := d.Sticky() && (last && below || !last && ours(w.Dirs[i+1].Stat.Uid))
		if d.WritableByOthers && !safe {
			return unsafeDir(d.Path, "others can write it (owner %d, group %d, mode %04o)", d.Stat.Uid, d.Stat.Gid, d.Stat.Mode&0o7777)
		}
	}
	return nil
}

func openOwn(parent int, at, name string, ids *fswalk.Identities) (int, error) {
	path := filepath.Join(at, name)
	if err := component(name); err != nil {
		return -1, failed("open directory", path, err)
	}
	if err := unix.Mkdirat(parent, name, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
		return -1, failed("make directory", path, err)
	}
	fd, err := fswalk.Open(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return -1, unsafeDir(path, "it is a link or a file; remove it: %w", err)
	}
	if err != nil {
		return -1, failed("open directory", path, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return -1, errors.Join(failed("open directory", path, err), unix.Close(fd))
	}
	if (int(st.Uid) != ids.UID() || st.Mode&0o077 != 0) && !fault.Mutant("any-private-directory") {
		err := unsafeDir(path, "owner %d, mode %04o; it must belong to user %d alone, with mode 0700", st.Uid, st.Mode&0o7777, ids.UID())
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// component refuses names that would lead elsewhere than one step down.
func component(name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("%q is not a file name", name)
	}
	return nil
}

// Path is the canonical path under which the directory was opened.
func (d *Dir) Path() string { return d.f.Name() }

// Close releases the descriptor.
func (d *Dir) Close() error { return d.f.Close() }

func (d *Dir) fd() int { return int(d.f.Fd()) }

// Sub opens or makes a private directory below d.
func (d *Dir) Sub(name string, ids *fswalk.Identities) (*Dir, error) {
	fd, err := openOwn(d.fd(), d.Path(), name, ids)
	if err != nil {
		return nil, err
	}
	return &Dir{f: os.NewFile(uintptr(fd), filepath.Join(d.Path(), name)), uid: ids.UID()}, nil
}

// Write puts data into the file name, durably and all at once, with mode 0600.
func (d *Dir) Write(name string, data []byte) error {
	if err := d.put(name, data, true); err != nil {
		return err
	}
	if err := d.f.Sync(); err != nil {
		return failed("sync directory", d.Path(), err)
	}
	return nil
}

// Replace is Write for what may be lost with the machine's power: all at once,
// but not durably.
func (d *Dir) Replace(name string, data []byte) error { return d.put(name, data, false) }

// Append adds data to the file name, which must be there, a regular file of the
// effective user. A reader may meet a part of it.
func (d *Dir) Append(name string, data []byte) error {
	path := filepath.Join(d.Path(), name)
	if err := component(name); err != nil {
		return failed("write", path, err)
	}
	fd, err := fswalk.Open(d.fd(), name, unix.O_WRONLY|unix.O_APPEND|unix.O_NOFOLLOW|unix.O_NONBLOCK)
	if err != nil {
		return failed("write", path, err)
	}
	f := os.NewFile(uintptr(fd), path)
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	if err == nil && (st.Mode&unix.S_IFMT != unix.S_IFREG || int(st.Uid) != d.uid) {
		err = fmt.Errorf("it is not a regular file of user %d", d.uid)
	}
	if err == nil {
		_, err = f.Write(data)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return failed("write", path, err)
	}
	return nil
}

func (d *Dir) put(name string, data []byte, durable bool) error {
	path := filepath.Join(d.Path(), name)
	if err := component(name); err != nil {
		return failed("write", path, err)
	}
	f, err := d.newTemp()
	if err != nil {
		return failed("write", path, err)
	}
	// After the rename; what matters was written and synced before.
	defer f.Close()
	_, err = f.Write(data)
	if err == nil && durable {
		err = f.Sync()
	}
	if err == nil {
		err = unix.Renameat(d.fd(), f.Name(), d.fd(), name)
	}
	if err != nil {
		return failed("write", path, errors.Join(err, d.removeTemp(f.Name())))
	}
	return nil
}

// Read returns a file of at most limit bytes. It must be a regular file of the
// effective user.
func (d *Dir) Read(name string, limit int64) ([]byte, error) {
	path := filepath.Join(d.Path(), name)
	err := component(name)
	if err != nil {
		return nil, failed("read", path, err)
	}
	fd, err := fswalk.Open(d.fd(), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || int(st.Uid) != d.uid || st.Size > limit {
		return nil, fmt.Errorf("%s: not a regular file of user %d and of at most %d bytes", path, d.uid, limit)
	}
	var b bytes.Buffer
	b.Grow(int(st.Size) + bytes.MinRead) // at most limit
	_, err = b.ReadFrom(io.LimitReader(f, limit))
	return b.Bytes(), err
}

// Names lists the entries, sorted. Safe for concurrent use.
func (d *Dir) Names() ([]string, error) {
	fd, err := fswalk.Open(d.fd(), ".", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, failed("read directory", d.Path(), err)
	}
	f := os.NewFile(uintptr(fd), d.Path())
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, failed("read directory", d.Path(), err)
	}
	slices.Sort(names)
	return names, nil
}

// Remove deletes a file durably; one that is not there is no error.
func (d *Dir) Remove(name string) error {
	err := component(name)
	if err == nil {
		err = unix.Unlinkat(d.fd(), name, 0)
	}
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return failed("remove", filepath.Join(d.Path(), name), err)
	}
	if err := d.f.Sync(); err != nil {
		return failed("sync directory", d.Path(), err)
	}
	return nil
}

// Drop is Remove for what may come back with the machine's power.
func (d *Dir) Drop(name string) error {
	err := component(name)
	if err == nil {
		err = unix.Unlinkat(d.fd(), name, 0)
	}
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return failed("remove", filepath.Join(d.Path(), name), err)
	}
	return nil
}

// RemoveEmpty deletes a directory below d that has nothing in it; one that is not
// there is no error.
func (d *Dir) RemoveEmpty(name string) error {
	err := component(name)
	if err == nil {
		err = unix.Unlinkat(d.fd(), name, unix.AT_REMOVEDIR)
	}
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return failed("remove", filepath.Join(d.Path(), name), err)
	}
	return nil
}

// RemoveTree deletes a directory below d with everything in it, following no
// link; one that is not there is no error.
func (d *Dir) RemoveTree(name string) error {
	path := filepath.Join(d.Path(), name)
	if err := component(name); err != nil {
		return failed("remove", path, err)
	}
	root, err := os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", d.fd()))
	if err != nil {
		return failed("remove", path, err)
	}
	defer root.Close()
	if _, err := root.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		return nil // also where nothing can be removed
	}
	if err := root.RemoveAll(name); err != nil {
		return failed("remove", path, err)
	}
	return nil
}
