//go:build !linux

package confine

import (
	"errors"
	"fmt"
	"os"
)

// Applied is a plan that asks for nothing: there is no other one here.
type Applied struct{}

// Available is empty.
func Available(bool) []string { return []string{} }

// Check fails for every plan that asks for anything.
func (p *Plan) Check() error {
	if p.IsZero() {
		return nil
	}
	keys := append(p.Confine.Keys(), "landlock")
	return lacking(keys[0], fmt.Errorf("on this system: %w", errors.ErrUnsupported))
}

// Open fails for every plan that asks for anything.
func (p *Plan) Open(*os.File) (*Applied, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	return &Applied{}, nil
}

// ApplySelf fails for every plan that asks for anything.
func (p *Plan) ApplySelf(*os.File) error { return p.Check() }

// OnThread does nothing.
func (a *Applied) OnThread() error { return nil }

// InStop does nothing.
func (a *Applied) InStop(int) error { return nil }

// Close does nothing.
func (a *Applied) Close() error { return nil }
