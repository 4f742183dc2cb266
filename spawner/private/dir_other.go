//go:build !linux

package private

import (
	"errors"
	"fmt"
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

// Read fails.
func (d *Dir) Read(name string, _ int64) ([]byte, error) { return nil, unsupported(name) }

// Names fails.
func (d *Dir) Names() ([]string, error) { return nil, unsupported("") }

// Remove fails.
func (d *Dir) Remove(name string) error { return unsupported(name) }

// RemoveTree fails.
func (d *Dir) RemoveTree(name string) error { return unsupported(name) }

// ReadTrusted fails.
func ReadTrusted(_ int, path string, _ int64) ([]byte, error) { return nil, unsupported(path) }
