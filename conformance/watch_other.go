//go:build !linux

package conformance

import (
	"context"
	"errors"
)

const (
	envStep   = "SPAWNWARD_FAULT_STEP"
	envDir    = "SPAWNWARD_FAULT_DIR"
	envMutant = "SPAWNWARD_FAULT_MUTANT"
)

type pauseGate struct{}

func newGate(string) (*pauseGate, error)          { return nil, errors.ErrUnsupported }
func (*pauseGate) wait(ctx context.Context) error { return errors.ErrUnsupported }
func (*pauseGate) open(context.Context) error     { return errors.ErrUnsupported }
func (*pauseGate) close()                         {}

func (p *play) cancelling(context.Context, string) (watch, error) {
	return watch{}, errors.ErrUnsupported
}
