package spawner

import (
	"errors"
	"fmt"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
)

// bindings lists what this launcher can offer on this machine; what a single
// file allows is found when it is launched.
func (l *Local) bindings() []admission.Binding {
	offered := []admission.Binding{admission.Pinned, admission.Leased}
	if l.canStop() == nil {
		offered = append(offered, admission.Verified)
	}
	return offered
}

// bind chooses the strongest binding that can be had for the measured file. One
// that is weaker than demanded is never chosen.
func (a *attempt) bind(want admission.Binding) error {
	var first error
	for _, b := range []admission.Binding{admission.Verified, admission.Leased, admission.Pinned} {
		if !b.Satisfies(want) {
			break
		}
		err := a.offers(b)
		if err == nil {
			a.report.Binding = b
			return nil
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		first = &SpawnError{C: code.BindingUnavailable, Op: "bind", Err: fmt.Errorf("policy demands binding %q, and this release offers at most %q", want, admission.Verified)}
	}
	return first
}

func (a *attempt) offers(b admission.Binding) error {
	f := &a.target.Binary
	if b == admission.Verified {
		if f.Setuid || f.Setgid || f.Capabilities {
			return &SpawnError{C: code.SetidNeedsLeased, Op: "bind", Err: fmt.Errorf("%s is set-id or carries capabilities: %w", f.Path, errors.ErrUnsupported)}
		}
		if err := a.l.canStop(); err != nil {
			return err
		}
	}
	if err := a.target.Offers(b); err != nil {
		return &SpawnError{C: code.BindingUnavailable, Op: "bind", Err: fmt.Errorf("%s at binding %q: %w", f.Path, b, err)}
	}
	return nil
}
