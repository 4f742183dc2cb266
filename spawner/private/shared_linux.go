package private

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/fswalk"
)

// Shared is a file that several processes of one user change in place, each
// while it holds the file's lock. One Shared is used by one goroutine at a time.
type Shared struct {
	dir  *Dir
	name string
	f    *os.File
}

// Shared gives the file name below d, which [Shared.Lock] opens or makes.
func (d *Dir) Shared(name string) *Shared { return &Shared{dir: d, name: name} }

// Pauses between two tries to get a lock.
const (
	firstPause = 50 * time.Microsecond
	lastPause  = 5 * time.Millisecond
)

// Lock waits for the file's lock, until ctx is done, and gives the file, open
// for reading and writing. After the lock is taken the file is checked to be
// still the one of that name: another one is opened and locked instead, and
// fresh says so. A file that is made is durable in its directory, 0600, and
// empty. Every Lock without an error is followed by an Unlock.
func (s *Shared) Lock(ctx context.Context) (f *os.File, fresh bool, err error) {
	path := filepath.Join(s.dir.Path(), s.name)
	for {
		if s.f == nil {
			fresh = true
			if s.f, err = s.open(); err != nil {
				return nil, false, failed("open", path, err)
			}
		}
		if err := flock(ctx, int(s.f.Fd())); err != nil {
			return nil, false, failed("lock", path, err)
		}
		same, err := s.same()
		if err == nil && same {
			return s.f, fresh, nil
		}
		// Closing gives the lock back.
		if err = errors.Join(err, s.Close()); err != nil {
			return nil, false, failed("lock", path, err)
		}
	}
}

// Unlock gives the lock back and keeps the file open for the next Lock.
func (s *Shared) Unlock() error { return unix.Flock(int(s.f.Fd()), unix.LOCK_UN) }

// Close lets go of the file and of its lock.
func (s *Shared) Close() error {
	if s.f == nil {
		return nil
	}
	f := s.f
	s.f = nil
	return f.Close()
}

// Move gives the locked file another name, which must be free, durably.
func (s *Shared) Move(to string) error {
	path := filepath.Join(s.dir.Path(), s.name)
	err := component(to)
	if err == nil {
		err = unix.Renameat2(s.dir.fd(), s.name, s.dir.fd(), to, unix.RENAME_NOREPLACE)
	}
	if err == nil {
		err = s.dir.f.Sync()
	}
	if err != nil {
		return failed("rename to "+to, path, err)
	}
	return nil
}

func (s *Shared) open() (*os.File, error) {
	if err := component(s.name); err != nil {
		return nil, err
	}
	const flags = unix.O_RDWR | unix.O_NOFOLLOW | unix.O_NONBLOCK
	fd, err := fswalk.Open(s.dir.fd(), s.name, flags)
	if errors.Is(err, unix.ENOENT) {
		fd, err = unix.Openat(s.dir.fd(), s.name, flags|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
		if err == nil {
			err = s.dir.f.Sync()
		}
	}
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), filepath.Join(s.dir.Path(), s.name))
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	if err == nil && (st.Mode&unix.S_IFMT != unix.S_IFREG || int(st.Uid) != s.dir.uid || st.Mode&0o077 != 0 || st.Nlink > 1) {
		err = fmt.Errorf("owner %d, mode %04o, %d links; it must be a regular file of user %d alone, with mode 0600 and one name", st.Uid, st.Mode&0o7777, st.Nlink, s.dir.uid)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// same reports whether the name still leads to the open file.
func (s *Shared) same() (bool, error) {
	var open, named unix.Stat_t
	if err := unix.Fstat(int(s.f.Fd()), &open); err != nil {
		return false, err
	}
	err := unix.Fstatat(s.dir.fd(), s.name, &named, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	return err == nil && open.Dev == named.Dev && open.Ino == named.Ino, err
}

// flock tries again and again, because a wait in the kernel cannot be given up.
func flock(ctx context.Context, fd int) error {
	var timer *time.Timer
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return err
		}
		if timer == nil {
			timer = time.NewTimer(pause)
			defer timer.Stop()
		} else {
			timer.Reset(pause)
		}
		select {
		case <-timer.C:
		case <-ctx.Done():
			return fmt.Errorf("another process holds it: %w", ctx.Err())
		}
	}
}

// SyncData makes what was written to a file durable; of what describes the file
// only what is needed to read it.
func SyncData(f *os.File) error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// Below reports whether d is, or stands somewhere below, the directory with this
// device and inode, whatever the paths are that lead there.
func (d *Dir) Below(device, inode int64) (bool, error) {
	fd, err := fswalk.Open(d.fd(), ".", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return false, failed("look above", d.Path(), err)
	}
	defer func() { _ = unix.Close(fd) }()
	var before unix.Stat_t
	for {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return false, failed("look above", d.Path(), err)
		}
		if int64(st.Dev) == device && int64(st.Ino) == inode {
			return true, nil
		}
		if st.Dev == before.Dev && st.Ino == before.Ino { // the root is its own parent
			return false, nil
		}
		before = st
		up, err := fswalk.Open(fd, "..", unix.O_PATH|unix.O_DIRECTORY)
		if err != nil {
			return false, failed("look above", d.Path(), err)
		}
		old := fd
		fd = up
		if err := unix.Close(old); err != nil {
			return false, failed("look above", d.Path(), err)
		}
	}
}

// OpenFile opens a regular file of the effective user for reading.
func (d *Dir) OpenFile(name string) (*os.File, error) {
	path := filepath.Join(d.Path(), name)
	if err := component(name); err != nil {
		return nil, failed("open", path, err)
	}
	fd, err := fswalk.Open(d.fd(), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK)
	if err != nil {
		return nil, failed("open", path, err)
	}
	f := os.NewFile(uintptr(fd), path)
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	if err == nil && (st.Mode&unix.S_IFMT != unix.S_IFREG || int(st.Uid) != d.uid) {
		err = fmt.Errorf("not a regular file of user %d", d.uid)
	}
	if err != nil {
		return nil, errors.Join(failed("open", path, err), f.Close())
	}
	return f, nil
}

// Sync makes the content of the locked file durable.
func (s *Shared) Sync() error { return SyncData(s.f) }
