// Package measure opens a binary once and says what it is: the facts of the
// file, of every directory above it and of its allow-root, and the SHA-256 of
// its bytes, all taken from descriptors.
//
// Guarantees on Linux: the descriptor in [Target] is the file that was walked
// to and hashed; every fact is of that descriptor or of one it was opened from;
// a path that changes under the walk, or a file whose size or times change
// while it is hashed, is measured again at most three times and is then
// path_changed. What could not be had is a fact with an error code, for policy
// to judge. Other systems: errors.ErrUnsupported, wrapped.
//
// The content is held until the process runs, as far as file system and owner
// allow ([Target.Offers]): by a read lease, which makes writers wait (at most
// fs.lease-break-time) until the comparison, and which a writer breaks at once.
// A writer in the launching process itself waits as well. Where the file system
// cannot hold it, it is copied into a sealed memory file and that is measured;
// what keeps it is found before the first byte is read. [Target.Compare] says
// whether the running image is what was measured.
//
// Not guaranteed: that nobody writes to the file after [Target.Unlock].
package measure

import (
	"errors"
	"os"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
)

// Attempts is how often a measurement is tried when the path changes under it.
const Attempts = 3

// Error is a measurement that could not be made although the file was opened,
// or a path that would not hold still.
type Error struct {
	C    code.Code // measure_failed or path_changed
	Path string
	Err  error
}

// Error names the path and the cause.
func (e *Error) Error() string { return "measure " + e.Path + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Code returns the stable code.
func (e *Error) Code() code.Code { return e.C }

// Target is a measured binary with its allow-root.
type Target struct {
	Binary admission.File
	Root   admission.File
	// File is the measured file, open for reading and close-on-exec; nil when it
	// could not be opened or is no regular file. Only positioned reads are used
	// on it.
	File *os.File
	// Digest is the SHA-256 of File; valid when Hashed.
	Digest [32]byte
	Hashed bool
	// Cached says that Digest was remembered, not read from the file now.
	Cached bool

	walked []fileID // of Binary.Ancestors, in order

	held   int      // what keeps the content as it was measured
	why    error    // why nothing does
	young  bool     // its change time may hide a second change
	sealed *os.File // what was hashed, when it is a copy
	noSeal error    // why there is none
	key    *cacheKey
	blake3 *[32]byte // of File, once it is known
	news   bool      // a digest was read that the cache does not know
}

// Limits say how much is read of a binary and how it may be held.
type Limits struct {
	// Bytes is the size of the largest file that is hashed.
	Bytes int64
	// SealedBytes is the size of the largest file that is copied into a sealed
	// memory file when its file system cannot hold it; 0 copies none.
	SealedBytes int64
	// Seal copies every file that can be copied.
	Seal bool
	// Cache may know the digest already; nil reads every file.
	Cache *Cache
	// Trusted lists owners beside root who may write a binary.
	Trusted []int64
}

// ErrNoexec says that a copy of a file would be executed although the file's own
// mount forbids execution.
var ErrNoexec = errors.New("its mount forbids execution, and so does that of a copy")

// fileID names an inode of this machine.
type fileID struct{ dev, ino uint64 }
