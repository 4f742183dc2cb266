// Package private keeps the launcher's own directories and files: nobody but
// the effective user may have any access to them.
//
// Guarantees on Linux: a directory is opened component by component; those
// above it must belong to the user or root and be writable by nobody else
// (unless sticky); the launcher's own ones must be real directories of the
// effective user with mode 0700, and are made so when they are missing. Files
// are written as a temporary file, synced, renamed, and the directory synced, so
// that a reader or a crash meets the old content or the new, never a part, but
// for [Dir.Replace] and [Dir.Append], which promise less. On other systems every
// call fails with an error that wraps errors.ErrUnsupported.
package private

import (
	"errors"
	"fmt"

	"github.com/spawnward/spawnward/spawner/code"
)

// ErrLocked says that somebody else holds a lock.
var ErrLocked = errors.New("somebody else holds the lock")

// unsafeDir is the error for a directory that somebody else could tamper with.
func unsafeDir(path, format string, args ...any) error {
	return code.New("open "+path, code.DirectoryUnsafe, fmt.Errorf(format, args...))
}

// failed is the error for a directory or file that the system does not give.
func failed(op, path string, err error) error {
	return code.New(op+" "+path, code.StateFailed, err)
}
