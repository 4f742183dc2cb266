//go:build !linux

package private

import "io/fs"

// Tree is an open directory of settings; none can be had on this system.
type Tree struct{}

// OpenTree fails.
func OpenTree(_ int, path string) (*Tree, error) { return nil, unsupported(path) }

// Path is empty.
func (t *Tree) Path() string { return "" }

// Close does nothing.
func (t *Tree) Close() error { return nil }

// FS is nil.
func (t *Tree) FS() fs.FS { return nil }

// Dir fails.
func (t *Tree) Dir(name string) error { return unsupported(name) }

// Read fails.
func (t *Tree) Read(name string, _ int64) ([]byte, error) { return nil, unsupported(name) }
