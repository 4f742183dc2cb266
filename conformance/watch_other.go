//go:build !linux

package conformance

import (
	"context"
	"errors"
)

type pauseGate struct{}

func newGate(string) (*pauseGate, error)          { return nil, errors.ErrUnsupported }
func (*pauseGate) wait(ctx context.Context) error { return errors.ErrUnsupported }
func (*pauseGate) open(context.Context) error     { return errors.ErrUnsupported }
func (*pauseGate) close()                         {}

func (p *play) cancelling(context.Context, string) (watch, error) {
	return watch{}, errors.ErrUnsupported
}
