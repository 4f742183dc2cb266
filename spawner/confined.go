package spawner

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/confine"
	"github.com/spawnward/spawnward/spawner/fault"
)

// confinement lists what this launcher can apply to a child on this machine.
func (a *attempt) confinement() []string {
	if fault.Mutant("offer-no-confinement") {
		return []string{}
	}
	return confine.Available(a.becomes || a.l.canStop() == nil)
}

// planConfinement merges what policy and the definition ask for, and fails for
// what this launch cannot have. Nothing is applied yet.
func (a *attempt) planConfinement() error {
	ask := a.loaded.Definition.Launch.Confine.Ask()
	plan, err := confine.New(&a.report.Decision.Obligations.Confine, &ask, a.places())
	if err != nil {
		return unconfined(err)
	}
	if plan.IsZero() {
		return nil
	}
	a.report.Confine = plan
	if err := plan.Check(); err != nil {
		return unconfined(err)
	}
	if !a.becomes && !a.held() {
		if err := plan.Unheld(); err != nil {
			return unconfined(fmt.Errorf("%w (binding %s)", err, a.report.Binding))
		}
	}
	return nil
}

func unconfined(err error) error {
	return &SpawnError{C: code.ConfinementUnavail, Op: "confine", Err: err}
}

// places are the files without which the backend could not start or answer.
func (a *attempt) places() confine.Places {
	at := confine.Places{
		Binary: a.target.Binary.Path, Interpreter: a.target.Binary.Interp.Canonical,
		RunDir: a.runDir,
	}
	if a.endpoint.Path != "" {
		at.EndpointDir = filepath.Dir(a.endpoint.Path)
	}
	if file := a.loaded.Definition.Launch.Stderr; strings.HasPrefix(file, "/") && !a.becomes {
		at.Stderr = file
	}
	return at
}

// held reports whether the process is held at its exec, or is this one: for its
// binding, or because of a confinement that is set by its number. A file whose execution
// raises privileges would lose them.
func (a *attempt) held() bool {
	if a.becomes || a.report.Binding.Satisfies(admission.Verified) {
		return true
	}
	f := &a.target.Binary
	return a.report.Confine != nil && len(a.report.Confine.NeedsStop()) > 0 &&
		!f.Setuid && !f.Setgid && !f.Capabilities && a.l.canStop() == nil
}

// openConfinement makes the plan ready; onThread restricts the thread that
// forks, and inStop the child. Both do nothing without a plan.
func (a *attempt) openConfinement() (c *confinement, err error) {
	if a.report.Confine == nil || fault.Mutant("confine-nothing") {
		return &confinement{}, nil
	}
	applied, err := a.report.Confine.Open(a.target.Image(a.report.Binding))
	if err != nil {
		return nil, unconfined(err)
	}
	return &confinement{applied}, nil
}

type confinement struct{ applied *confine.Applied }

func (c *confinement) onThread() func() error {
	if c.applied == nil {
		return nil
	}
	return c.applied.OnThread
}

func (c *confinement) inStop(pid int) error {
	if c.applied == nil {
		return nil
	}
	if err := c.applied.InStop(pid); err != nil {
		return unconfined(err)
	}
	return nil
}

// close gives back descriptors of which nothing can be lost.
func (c *confinement) close() {
	if c.applied != nil {
		_ = c.applied.Close()
	}
}
