// Package fswalk walks a path by descriptors, one component at a time, so that
// what is said about the directories above a file is said about the very
// directories that were walked through, whatever is renamed meanwhile.
//
// Guarantees on Linux: a canonical path is opened from "/" with O_NOFOLLOW at
// every component; the facts of each directory are fstat of the descriptor that
// the next component is opened from. A component that turns out to be a link,
// or that is gone, is [ErrChanged]. On other systems every call fails with an
// error that wraps errors.ErrUnsupported.
package fswalk

import (
	"errors"
	"path/filepath"
	"strings"
)

// ErrChanged says that a path which had been resolved no longer leads where it
// led: somebody renamed, removed or replaced a component.
var ErrChanged = errors.New("the path changed while it was walked")

// Resolve follows every link of an absolute path and returns the canonical path.
func Resolve(path string) (string, error) {
	if !filepath.IsAbs(path) {
		return "", errors.New("not an absolute path")
	}
	return filepath.EvalSymlinks(path)
}

// Segments splits a canonical absolute path into its components; "/" has none.
func Segments(canonical string) []string {
	trimmed := strings.Trim(canonical, "/")
	if trimmed == "" {
		return []string{}
	}
	return strings.Split(trimmed, "/")
}
