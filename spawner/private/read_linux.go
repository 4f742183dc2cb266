package private

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/fswalk"
)

// ReadTrusted reads a regular file of at most limit bytes that nobody but root
// and the user uid could have written: it and every directory above it belong
// to one of the two and are writable by nobody else. It changes nothing. A file
// that does not exist is fs.ErrNotExist; one that is unsafe has the code
// directory_unsafe.
func ReadTrusted(uid int, path string, limit int64) ([]byte, error) {
	f, size, err := OpenTrusted(uid, path, limit)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := readAtMost(f, size, limit)
	if err == nil && int64(len(data)) > limit {
		err = errors.New("it grew while it was read")
	}
	if err != nil {
		return nil, failed("read", path, err)
	}
	return data, nil
}

// readAtMost reads a file that has size bytes, and may by now have others, into
// one piece of memory. More than limit is one byte more.
func readAtMost(r io.Reader, size, limit int64) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(int(min(size, limit)) + bytes.MinRead)
	_, err := b.ReadFrom(io.LimitReader(r, limit+1))
	return b.Bytes(), err
}

// OpenTrusted opens a file that [ReadTrusted] would read, and gives its size. Who
// keeps it open reads what was opened, whatever is put in its place.
func OpenTrusted(uid int, path string, limit int64) (*os.File, int64, error) {
	ids := fswalk.NewIdentities(uid)
	canonical, err := fswalk.Resolve(path)
	if errors.Is(err, fs.ErrNotExist) {
		// A link that leads nowhere stands for something; it is not nothing.
		if _, lerr := os.Lstat(path); lerr == nil {
			return nil, 0, unsafeDir(path, "it is a link that leads nowhere")
		}
	}
	if err != nil {
		return nil, 0, failed("read", path, err)
	}
	w, err := fswalk.To(filepath.Dir(canonical), ids)
	if err != nil {
		return nil, 0, failed("read", path, err)
	}
	defer w.Close()
	leaf, err := w.Leaf(filepath.Base(canonical))
	if err != nil {
		return nil, 0, failed("read", path, err)
	}
	defer unix.Close(leaf)
	size, err := trustedFile(w, leaf, canonical, limit, ids)
	if err != nil {
		return nil, 0, err
	}
	// Only now is it known that opening has no effect and does not block.
	f, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", leaf), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, failed("read", path, err)
	}
	return f, size, nil
}

// trustedFile gives the size of a file that was found to be trusted.
func trustedFile(w *fswalk.Walk, fd int, path string, limit int64, ids *fswalk.Identities) (int64, error) {
	if err := trusted(w, ids, true); err != nil {
		return 0, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, failed("read", path, err)
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return 0, unsafeDir(path, "it is not a regular file")
	case st.Uid != 0 && int(st.Uid) != ids.UID():
		return 0, unsafeDir(path, "it belongs to user %d, not to user %d or root", st.Uid, ids.UID())
	case fswalk.WritableByOthers(fd, &st, ids):
		return 0, unsafeDir(path, "others can write it (owner %d, group %d, mode %04o); run: chmod go-w %q", st.Uid, st.Gid, st.Mode&0o7777, path)
	case st.Size > limit:
		return 0, failed("read", path, errors.New("it is too large"))
	}
	return st.Size, nil
}
