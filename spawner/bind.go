package spawner

import (
	"errors"
	"fmt"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/fault"
	"github.com/spawnward/spawnward/spawner/measure"
	"github.com/spawnward/spawnward/spawner/service"
)

// bindings lists what this launcher can offer on this machine; what a single
// file allows is found when it is launched.
func (l *Local) bindings() []admission.Binding {
	offered := []admission.Binding{admission.Pinned, admission.Leased}
	if l.canStop() == nil && !fault.Mutant("offer-pinned-alone") {
		offered = append(offered, admission.Verified, admission.Sealed)
	}
	return offered
}

// limits says how the binary may be held. A program that answers the identity
// probe must name its own file, which a copy in memory cannot.
func (a *attempt) limits() measure.Limits {
	limits := measure.Limits{
		Bytes: a.settings.MaxBinaryBytes, Trusted: a.settings.TrustedOwners,
		Seal: a.settings.Binding == admission.Sealed || a.becomes && a.settings.Binding == admission.Verified,
	}
	if a.becomes || a.loaded.Definition.Launch.Probe != service.ProbeIdentity {
		limits.SealedBytes = a.settings.MaxSealedBytes
	}
	return limits
}

// bind chooses the binding for the measured file: the one that runs the file
// itself and is verified, else the copy, else a weaker one, and never one weaker
// than demanded.
func (a *attempt) bind(want admission.Binding) error {
	var why error
	order := []admission.Binding{admission.Verified, admission.Sealed, admission.Leased, admission.Pinned}
	if a.becomes {
		order = a.bindings()
	}
	for _, b := range order {
		if !b.Satisfies(want) {
			continue
		}
		err := a.offers(b)
		if err == nil {
			a.report.Binding = b
			return nil
		}
		switch {
		case why == nil:
			why = err
		case why.Error() != err.Error():
			why = fmt.Errorf("%w; %w", why, err)
		}
	}
	if why == nil {
		why = unbound(code.BindingUnavailable, fmt.Errorf("policy demands binding %q, which does not exist", want))
	}
	if a.report.Probe == string(service.ProbeIdentity) && want == admission.Sealed {
		return code.New("launch "+a.req.Service, code.ServiceInvalid, why)
	}
	return why
}

func unbound(c code.Code, err error) error { return &SpawnError{C: c, Op: "bind", Err: err} }

func (a *attempt) offers(b admission.Binding) error {
	f := &a.target.Binary
	if b == admission.Verified || b == admission.Sealed {
		if f.Setuid || f.Setgid || f.Capabilities {
			return unbound(code.SetidNeedsLeased, fmt.Errorf("%s is set-id or carries capabilities: %w", f.Path, errors.ErrUnsupported))
		}
		if !a.becomes {
			if err := a.l.canStop(); err != nil {
				return err
			}
		}
	}
	if b == admission.Sealed && a.report.Probe == string(service.ProbeIdentity) {
		return unbound(code.BindingUnavailable, errors.New("a sealed program runs from memory and cannot name its own file, which the probe identity asks for; choose the probe peer or notify"))
	}
	err := a.target.Offers(b)
	switch {
	case errors.Is(err, measure.ErrNoexec):
		return unbound(code.SealedSourceNoexec, fmt.Errorf("%s at binding %q: %w", f.Path, b, err))
	case err != nil:
		return unbound(code.BindingUnavailable, fmt.Errorf("%s at binding %q: %w", f.Path, b, err))
	}
	return nil
}
