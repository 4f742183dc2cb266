//go:build !linux

package measure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/fswalk"
)

// Measure is offered on Linux only; elsewhere it fails with an error that wraps
// errors.ErrUnsupported.
func Measure(_ context.Context, binary, _ string, _ Limits, _ *fswalk.Identities) (*Target, error) {
	return nil, &Error{C: code.MeasureFailed, Path: binary, Err: fmt.Errorf("measuring binaries on %s: %w", runtime.GOOS, errors.ErrUnsupported)}
}

// Offers says that nothing is offered.
func (t *Target) Offers(admission.Binding) error {
	return fmt.Errorf("binding a process to its file on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

// Image is nil.
func (t *Target) Image(admission.Binding) *os.File { return nil }

// Compare fails as Offers does.
func (t *Target) Compare(context.Context, int, admission.Binding) error {
	return t.Offers(admission.Pinned)
}

// Unwritten fails as Offers does.
func (t *Target) Unwritten(b admission.Binding) error { return t.Offers(b) }

// Unlock does nothing.
func (t *Target) Unlock() {}

// Close does nothing.
func (t *Target) Close() error { return nil }

// ScriptLine fails as Offers does.
func (t *Target) ScriptLine() (ScriptLine, error) { return ScriptLine{}, t.Offers(admission.Pinned) }

// Seal fails as Offers does.
func (t *Target) Seal(context.Context) (*os.File, error) { return nil, t.Offers(admission.Pinned) }
