package spawner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/endpoint"
	"github.com/spawnward/spawnward/spawner/fault"
	"github.com/spawnward/spawnward/spawner/process"
	"github.com/spawnward/spawnward/spawner/state"
)

// Condition says what was found when a recorded backend was verified again.
type Condition string

// The conditions.
const (
	Live         Condition = "live"         // verified: it is ours and answers
	Starting     Condition = "starting"     // its launcher is still at work
	Stale        Condition = "stale"        // it has ended
	Unresponsive Condition = "unresponsive" // ours, alive, but it does not answer
	Unknown      Condition = "unknown"      // it cannot be told from here
)

// Status is one recorded backend as it was found. Its JSON form is fixed by
// rego/schema/ps.json.
type Status struct {
	Service  string            `json:"service"`
	Version  string            `json:"version"`
	Instance string            `json:"instance"`
	State    Condition         `json:"state"`
	Why      string            `json:"why"`      // "" when live
	Identity *Identity         `json:"identity"` // nil when nothing was started
	Binding  admission.Binding `json:"binding"`
	Probe    string            `json:"probe"`
	// DecisionID names the decision that admitted it.
	DecisionID string `json:"decision_id"`
	// Code is set unless the backend is live.
	Code code.Code `json:"code,omitempty"`

	// Endpoint is the identity's, or that of a backend not yet started.
	Endpoint endpoint.Endpoint `json:"-"`

	rec       *state.Record
	elsewhere bool // of another machine or pid namespace
	past      bool // of another boot: nothing of it can be running
}

// List verifies the recorded backends of a service and version again; empty
// names mean any. Broken record files are listed as unknown. It changes nothing.
func (l *Local) List(ctx context.Context, service, version string) ([]Status, error) {
	out := []Status{}
	store, err := l.existingState()
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	defer store.Close()
	records, bad := store.List(service, version)
	for _, r := range records {
		if ctx.Err() != nil {
			return nil, canceled("list", ctx.Err())
		}
		s, p := l.examine(ctx, r)
		if p != nil {
			if err := p.Close(); err != nil {
				return nil, err
			}
		}
		out = append(out, s)
	}
	if ctx.Err() != nil {
		return nil, canceled("list", ctx.Err())
	}
	for _, err := range bad {
		c, _ := code.Of(err)
		out = append(out, Status{State: Unknown, Why: err.Error(), Code: c})
	}
	return out, nil
}

// Verify returns a handle to a recorded backend after it has been verified
// anew: boot, process, start time, executable, digest, and the probe. The error
// has the code identity_mismatch, backend_unresponsive, or that of the probe.
func (l *Local) Verify(ctx context.Context, s Status) (*Handle, error) {
	if s.rec == nil {
		return nil, code.New("verify", code.RecordCorrupt, errors.New("it has no usable record"))
	}
	now, p := l.examine(ctx, s.rec)
	if now.State == Live {
		return &Handle{l: l, process: p, rec: s.rec}, nil
	}
	err := fmt.Errorf("the backend is %s: %s", now.State, now.Why)
	if p != nil {
		err = errors.Join(err, p.Close())
	}
	return nil, code.New("verify "+s.Service+"@"+s.Version, now.Code, err)
}

// Stopped tells what [Local.Stop] did with one backend.
type Stopped struct {
	Status Status
	Forced bool
}

// Stop ends every recorded backend of a service and version (an empty version
// means all) and removes what they left; ended ones are cleaned away. A backend
// that cannot be told from a stranger is not touched and is an error, as is one
// whose launcher is still at work.
func (l *Local) Stop(ctx context.Context, service, version string, patience time.Duration) ([]Stopped, error) {
	out := []Stopped{}
	store, err := l.existingState()
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	defer store.Close()
	records, errs := store.List(service, version)
	for _, r := range records {
		done, ended, err := l.stop(ctx, store, r, patience)
		if err != nil {
			errs = append(errs, code.New("stop "+r.Service+"@"+r.Version, codeOr(err, code.Failed), err))
		}
		if ended {
			out = append(out, done)
		}
		if ctx.Err() != nil {
			return out, errors.Join(append([]error{canceled("stop", ctx.Err())}, errs...)...)
		}
	}
	return out, errors.Join(append(errs, store.Sweep(service, version))...)
}

// stop ends one backend. ended tells whether it has ended, which may be so
// although something that it left could not be removed.
func (l *Local) stop(ctx context.Context, store *state.Store, r *state.Record, patience time.Duration) (done Stopped, ended bool, err error) {
	s, p := l.examine(ctx, r)
	done.Status = s
	if p != nil {
		defer p.Close()
	}
	switch {
	case ctx.Err() != nil:
		return done, false, ctx.Err()
	case s.State == Live || s.State == Unresponsive:
		free := l.condemn(store, r, patience)
		defer func() { err = errors.Join(err, free()) }()
		done.Forced, err = process.Family{Leader: p}.Stop(ctx, patience)
	case s.State == Stale && !s.past:
		// What goes on after the leader's end is ended by force.
		err = endSurvivors(ctx, r)
	case s.State == Stale:
	default:
		return done, false, code.New("verify", s.Code, fmt.Errorf("it is %s and is left alone: %s", s.State, s.Why))
	}
	if err != nil {
		return done, false, err
	}
	fault.At(fault.EndedProcess)
	return done, true, errors.Join(removeTraces(store, r), l.freeTurn(store, r))
}

// recorded is what a record says by itself.
func recorded(r *state.Record) Status {
	s := Status{
		Service: r.Service, Version: r.Version, Instance: r.Instance, Identity: r.Identity,
		Binding: r.Binding, Probe: r.Probe, DecisionID: r.DecisionID,
		Endpoint: r.Endpoint, rec: r,
	}
	if r.Identity != nil {
		s.Endpoint = r.Identity.Endpoint
	}
	return s
}

func codeOr(err error, otherwise code.Code) code.Code {
	if c, ok := code.Of(err); ok {
		return c
	}
	return otherwise
}
