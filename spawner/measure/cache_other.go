//go:build !linux

package measure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/spawnward/spawnward/spawner/fswalk"
)

func clockOffset() (int64, error) {
	return 0, fmt.Errorf("the boot-time clock on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

// Image fails as [Measure] does.
func Image(_ context.Context, file *os.File, _ *Cache, _ *fswalk.Identities) (*Target, error) {
	return &Target{File: file}, fmt.Errorf("measuring %s on %s: %w", file.Name(), runtime.GOOS, errors.ErrUnsupported)
}

// BLAKE3 fails as [Measure] does.
func (t *Target) BLAKE3(context.Context) ([32]byte, error) {
	return [32]byte{}, fmt.Errorf("measuring on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
