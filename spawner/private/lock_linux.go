package private

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Lock is a lock file that is held. It ends with Release, or with the process.
type Lock struct {
	d    *Dir
	f    *os.File
	name string
	size int64
}

// lockTries bounds how often a lock file may turn out to have been replaced
// before it counts as taken.
const lockTries = 16

// TryLock takes the lock file name in d, which is made when it is missing, and
// does not wait: a lock that somebody else holds, in this process or another,
// is [ErrLocked]. A holder removes the file when it lets go, so whoever gets the
// lock looks whether the file is still the one that the name leads to.
func (d *Dir) TryLock(name string) (*Lock, error) {
	path := filepath.Join(d.Path(), name)
	if err := component(name); err != nil {
		return nil, failed("lock", path, err)
	}
	for range lockTries {
		l, err := d.tryLock(name)
		if err != nil && !errors.Is(err, ErrLocked) {
			return nil, failed("lock", path, err)
		}
		if l != nil || err != nil {
			return l, err
		}
	}
	return nil, ErrLocked
}

// tryLock gives neither a lock nor an error when the file was replaced.
func (d *Dir) tryLock(name string) (*Lock, error) {
	fd, err := unix.Openat(d.fd(), name, unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	l := &Lock{d: d, f: os.NewFile(uintptr(fd), filepath.Join(d.Path(), name)), name: name}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	if err == nil && (st.Mode&unix.S_IFMT != unix.S_IFREG || int(st.Uid) != d.uid) {
		err = fmt.Errorf("it is not a regular file of user %d", d.uid)
	}
	if err == nil {
		err = lockFile(fd)
	}
	if err == nil && d.holds(name, &st) {
		l.size = st.Size
		return l, nil
	}
	return nil, errors.Join(err, l.f.Close())
}

// lockFile locks an open file description, so that two of one process exclude
// each other as well.
func lockFile(fd int) error {
	for {
		err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			return ErrLocked
		}
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// holds reports whether a name leads to the file that was opened.
func (d *Dir) holds(name string, opened *unix.Stat_t) bool {
	var st unix.Stat_t
	err := unix.Fstatat(d.fd(), name, &st, unix.AT_SYMLINK_NOFOLLOW)
	return err == nil && st.Dev == opened.Dev && st.Ino == opened.Ino
}

// Say replaces the content of the lock file, which tells others who holds it. A
// reader may meet it half written.
func (l *Lock) Say(text []byte) error {
	_, err := l.f.WriteAt(text, 0)
	if err == nil && l.size > int64(len(text)) { // of a holder that was killed
		err = l.f.Truncate(int64(len(text)))
	}
	l.size = int64(len(text))
	if err != nil {
		return failed("write", l.f.Name(), err)
	}
	return nil
}

// Release removes the lock file and lets the next one have the lock.
func (l *Lock) Release() error {
	var st unix.Stat_t
	err := unix.Fstat(int(l.f.Fd()), &st)
	if err == nil && l.d.holds(l.name, &st) {
		err = unix.Unlinkat(l.d.fd(), l.name, 0)
	}
	// A child between its fork and its exec has a copy of the descriptor.
	if err := errors.Join(err, unix.Flock(int(l.f.Fd()), unix.LOCK_UN), l.f.Close()); err != nil {
		return failed("release", l.f.Name(), err)
	}
	return nil
}
