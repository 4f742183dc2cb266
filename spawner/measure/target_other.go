//go:build !linux

package measure

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/fswalk"
)

// Measure is offered on Linux only; elsewhere it fails with an error that wraps
// errors.ErrUnsupported.
func Measure(_ context.Context, binary, _ string, _ int64, _ *fswalk.Identities) (*Target, error) {
	return nil, &Error{C: code.MeasureFailed, Path: binary, Err: fmt.Errorf("measuring binaries on %s: %w", runtime.GOOS, errors.ErrUnsupported)}
}
