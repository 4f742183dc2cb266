//go:build !linux

package service

import (
	"errors"
	"fmt"
	"runtime"
)

const openNonblock = 0

// dir is a services directory; only Linux has the checks that make one usable.
type dir struct{ path string }

func openDir(p place) (*dir, error) {
	return nil, fmt.Errorf("check the services directory %s on %s: %w", p.path, runtime.GOOS, errors.ErrUnsupported)
}

// Close does nothing.
func (d *dir) Close() {}

func (d *dir) lstat(string) error { return errors.ErrUnsupported }

func (d *dir) names() ([]string, error) { return nil, errors.ErrUnsupported }

func (d *dir) read(string) (*Loaded, []byte, error) { return nil, nil, errors.ErrUnsupported }
