package private

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/fswalk"
)

// tempPrefix begins the names of files that are being written.
const tempPrefix = ".tmp-"

// IsTemp reports whether an entry is a file that is being written, or was when
// its writer was killed.
func IsTemp(name string) bool { return strings.HasPrefix(name, tempPrefix) }

// newTemp makes a temporary file and locks it, which tells [Dir.Sweep] that its
// writer is alive. One that was swept before it could be locked is made anew.
func (d *Dir) newTemp() (*os.File, error) {
	for {
		random := make([]byte, 8)
		if _, err := rand.Read(random); err != nil {
			return nil, err
		}
		name := tempPrefix + hex.EncodeToString(random)
		fd, err := unix.Openat(d.fd(), name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return nil, err
		}
		f := os.NewFile(uintptr(fd), name)
		locked := lockFile(fd) // without locks the file's age has to tell
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return nil, errors.Join(err, d.removeTemp(name), f.Close())
		}
		if !errors.Is(locked, ErrLocked) && st.Nlink > 0 {
			return f, nil
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
}

func (d *Dir) removeTemp(name string) error {
	err := unix.Unlinkat(d.fd(), name, 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EROFS) { // nothing was made
		return nil
	}
	return err
}

// abandoned is how old a temporary file is that no writer will come back to, on
// a file system that has no locks.
const abandoned = 10 * time.Minute

// Sweep removes temporary files that writers left which were killed. Those of
// living writers stay.
func (d *Dir) Sweep() error {
	names, err := d.Names()
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		if !IsTemp(name) {
			continue
		}
		if err := d.sweep(name); err != nil && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, failed("remove", filepath.Join(d.Path(), name), err))
		}
	}
	return errors.Join(errs...)
}

func (d *Dir) sweep(name string) error {
	fd, err := fswalk.Open(d.fd(), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	switch err := lockFile(fd); {
	case errors.Is(err, ErrLocked):
		return nil
	case err != nil && time.Since(time.Unix(st.Mtim.Unix())) < abandoned:
		return nil
	case !d.holds(name, &st):
		return nil
	}
	return unix.Unlinkat(d.fd(), name, 0)
}
