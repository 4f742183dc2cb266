//go:build !linux

package private

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/spawnward/spawnward/spawner/fswalk"
)

// Dir is an open private directory; none can be had on this system.
type Dir struct{}

func unsupported(path string) error {
	return failed("open directory", path, fmt.Errorf("private directories on %s: %w", runtime.GOOS, errors.ErrUnsupported))
}

// Open fails.
func Open(_ *fswalk.Identities, parent string, _ ...string) (*Dir, error) {
	return nil, unsupported(parent)
}

// Path is empty.
func (d *Dir) Path() string { return "" }

// Close does nothing.
func (d *Dir) Close() error { return nil }

// Sub fails.
func (d *Dir) Sub(name string, _ *fswalk.Identities) (*Dir, error) { return nil, unsupported(name) }

// Write fails.
func (d *Dir) Write(name string, _ []byte) error { return unsupported(name) }

// Replace fails.
func (d *Dir) Replace(name string, _ []byte) error { return unsupported(name) }

// IsTemp is false: nothing is written here.
func IsTemp(string) bool { return false }

// Sweep fails.
func (d *Dir) Sweep() error { return unsupported("") }

// Lock is a lock file; none can be had on this system.
type Lock struct{}

// TryLock fails.
func (d *Dir) TryLock(name string) (*Lock, error) { return nil, unsupported(name) }

// Say fails.
func (l *Lock) Say([]byte) error { return unsupported("") }

// Release does nothing.
func (l *Lock) Release() error { return nil }

// Read fails.
func (d *Dir) Read(name string, _ int64) ([]byte, error) { return nil, unsupported(name) }

// Names fails.
func (d *Dir) Names() ([]string, error) { return nil, unsupported("") }

// Remove fails.
func (d *Dir) Remove(name string) error { return unsupported(name) }

// Drop fails.
func (d *Dir) Drop(name string) error { return unsupported(name) }

// RemoveEmpty fails.
func (d *Dir) RemoveEmpty(name string) error { return unsupported(name) }

// RemoveTree fails.
func (d *Dir) RemoveTree(name string) error { return unsupported(name) }

// OpenTrusted fails.
func OpenTrusted(_ int, path string, _ int64) (*os.File, int64, error) {
	return nil, 0, unsupported(path)
}

// ReadTrusted fails.
func ReadTrusted(_ int, path string, _ int64) ([]byte, error) { return nil, unsupported(path) }

// Shared is a file that several processes change; none can be had on this
// system.
type Shared struct{ name string }

// Shared gives a file that cannot be locked.
func (d *Dir) Shared(name string) *Shared { return &Shared{name} }

// Lock fails.
func (s *Shared) Lock(context.Context) (*os.File, bool, error) {
	return nil, false, unsupported(s.name)
}

// Unlock fails.
func (s *Shared) Unlock() error { return unsupported(s.name) }

// Close does nothing.
func (s *Shared) Close() error { return nil }

// Move fails.
func (s *Shared) Move(string) error { return unsupported(s.name) }

// SyncData makes what was written to a file durable.
func SyncData(f *os.File) error { return f.Sync() }

// Append fails.
func (d *Dir) Append(name string, _ []byte) error { return unsupported(name) }

// Below fails.
func (d *Dir) Below(int64, int64) (bool, error) { return false, unsupported("") }

// OpenFile fails.
func (d *Dir) OpenFile(name string) (*os.File, error) { return nil, unsupported(name) }

// Sync fails.
func (s *Shared) Sync() error { return unsupported(s.name) }
