//go:build !linux

package policy

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
)

func checkDirectories(path string) error {
	return fmt.Errorf("%s: checking who owns a policy directory on %s: %w", path, runtime.GOOS, errors.ErrUnsupported)
}

func checkTrusted(path string, _ fs.FileInfo) error { return checkDirectories(path) }
