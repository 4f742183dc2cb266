package spawner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/fault"
	"github.com/spawnward/spawnward/spawner/process"
	"github.com/spawnward/spawnward/spawner/state"
)

// reusePatience is how long a backend that was ready may take to answer again
// before it counts as unresponsive.
const reusePatience = 2 * time.Second

// found is a live backend that serves the request.
type found struct {
	rec     *state.Record
	process *process.Process
}

// discover looks for a live backend that serves the request, and changes
// nothing; what it cannot verify at once it leaves to who has the turn.
func (a *attempt) discover(ctx context.Context) error {
	records, _ := a.store.List(a.req.Service, a.req.Version)
	for _, r := range records {
		if r.Phase != state.Ready || !a.serves(r) {
			continue
		}
		s, p := look(r, false)
		s, p = a.l.prove(ctx, s, p, 0)
		condemned := false
		if s.State == Live {
			var err error
			if condemned, err = a.field.Stopping(keyOf(r)); err != nil {
				return errors.Join(err, p.Close())
			}
		}
		if s.State == Live && !condemned {
			a.found = &found{r, p}
			return nil
		}
		if p != nil {
			if err := p.Close(); err != nil {
				return err
			}
		}
	}
	if ctx.Err() != nil {
		return canceled(Queue, ctx.Err())
	}
	return nil
}

// serves compares a record's key with what is asked for: a rebuilt file, a
// changed definition or other obligations are another backend, which may live
// beside it.
func (a *attempt) serves(r *state.Record) bool {
	return r.Instance == a.instance && r.Service == a.req.Service && r.Version == a.req.Version &&
		(r.Binary.SHA256 == a.target.Binary.SHA256 || fault.Mutant("reuse-any-file")) && (r.DefinitionSHA256 == a.loaded.SHA256 || fault.Mutant("reuse-any-definition")) &&
		a.sameScript(r.Script) && r.ObligationsSHA256 == a.obligations && r.Binding.Satisfies(a.report.Decision.Obligations.Binding)
}

// reuse takes the live backend, or makes way for a new one: what launches and
// backends of this key left that are no more is cleared away. A launch that had
// to wait measures and decides anew, for it had let the file go meanwhile.
func (a *attempt) reuse(ctx context.Context) error {
	if a.found != nil {
		return nil
	}
	if a.waited {
		if err := a.again(ctx); err != nil {
			return err
		}
	}
	records, bad := a.store.List(a.req.Service, a.req.Version)
	if len(bad) > 0 {
		return errors.Join(bad...)
	}
	for _, r := range records {
		if r.Instance != a.instance {
			continue
		}
		if err := a.revisit(ctx, r); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return canceled(Reuse, ctx.Err())
		}
		if a.found != nil {
			return nil
		}
	}
	if err := errors.Join(a.store.Sweep(a.req.Service, a.req.Version), a.field.Sweep()); err != nil {
		return err
	}
	if err := a.afford(); err != nil {
		return err
	}
	return a.alone(ctx)
}

func (a *attempt) again(ctx context.Context) error {
	if err := a.forget(); err != nil {
		return err
	}
	a.hooks, a.modules = nil, nil // opened anew with it
	if err := a.measure(ctx); err != nil {
		return err
	}
	if err := a.decide(ctx); err != nil {
		return err
	}
	var err error
	a.obligations, err = a.obligationsDigest()
	return err
}

// revisit settles what is to be done with one record of this key, by who has
// the turn.
func (a *attempt) revisit(ctx context.Context, r *state.Record) error {
	s, p := look(r, true)
	mine := a.serves(r)
	if p != nil && r.Phase == state.Ready && !mine {
		return p.Close() // another backend, which is none of this launch's business
	}
	s, p = a.l.prove(ctx, s, p, min(reusePatience, a.loaded.Definition.Launch.ReadyTimeout))
	switch {
	case s.State == Live:
		a.found = &found{r, p}
		return nil
	case s.State == Stale, s.State == Unresponsive && r.Phase != state.Ready:
		return a.clear(ctx, s, p)
	case s.State == Starting:
		return &LimitError{C: code.InProgress, PID: r.Launcher.PID, Err: errors.New(s.Why)}
	}
	if p != nil {
		if err := p.Close(); err != nil {
			return err
		}
	}
	if fault.Mutant("forget-the-silent") {
		return a.clear(ctx, s, nil)
	}
	err := fmt.Errorf("the backend that serves this is %s and left alone: %s", s.State, s.Why)
	switch {
	case s.elsewhere || !mine:
		return nil
	case s.State == Unresponsive:
		return &ProbeError{C: s.Code, Err: fmt.Errorf("process %d: %w", r.Identity.PID, err)}
	case r.Identity == nil:
		return code.New("look at record "+r.ID, s.Code, err)
	}
	return &IdentityError{C: code.IdentityMismatch, PID: r.Identity.PID, Err: err}
}

// clear ends what an unfinished launch or an ended backend left, and removes
// its traces. A child that may have been released counts.
func (a *attempt) clear(ctx context.Context, s Status, p *process.Process) error {
	r := s.rec
	var err error
	switch {
	case p != nil:
		err = errors.Join(process.Family{Leader: p}.End(ctx), p.Close())
	case !s.past:
		err = endSurvivors(ctx, r)
	}
	if err == nil && !s.past && (r.Phase == state.Starting || p != nil) {
		err = a.turn.Charge()
	}
	if err == nil {
		err = removeTraces(a.store, r)
	}
	if err != nil {
		return code.New("clear away "+r.Service+"@"+r.Version, codeOr(err, code.StateFailed), err)
	}
	repaired := Repaired{State: s.State, Why: s.Why}
	if r.Identity != nil {
		repaired.PID = r.Identity.PID
	} else if p != nil {
		repaired.PID = p.PID()
	}
	a.report.Repaired = append(a.report.Repaired, repaired)
	return nil
}

// alone keeps launches that adopt orphans apart from here on: the orphan of one
// must not be taken for the other's.
func (a *attempt) alone(ctx context.Context) error {
	if !a.l.o.Adopt {
		return nil
	}
	select {
	case a.l.launching <- struct{}{}:
		a.isAlone = true
		return nil
	case <-ctx.Done():
		return canceled(Reuse, ctx.Err())
	}
}

// running lists the processes of the backend that an earlier admission let in.
// They are told of, and left running.
func (a *attempt) running() []int {
	store, err := a.l.existingState()
	if err != nil {
		return nil // there are none, or the denial stands without them
	}
	defer store.Close()
	var pids []int
	records, _ := store.List(a.req.Service, a.req.Version)
	for _, r := range records {
		if r.Instance != a.instance || r.Phase != state.Ready {
			continue
		}
		_, p := look(r, false)
		if p == nil {
			continue
		}
		if runsRecorded(p.PID(), r) && p.Alive() {
			pids = append(pids, p.PID())
		}
		_ = p.Close() // a pidfd has nothing to lose
	}
	return pids
}
