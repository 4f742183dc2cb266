package spawner

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/endpoint"
	"github.com/spawnward/spawnward/spawner/fault"
	"github.com/spawnward/spawnward/spawner/measure"
	"github.com/spawnward/spawnward/spawner/probe"
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

	rec *state.Record
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
	return out, errors.Join(append(errs, store.Sweep())...)
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
		done.Forced, err = process.Family{Leader: p}.Stop(ctx, patience)
	case s.State == Stale:
		// What goes on after the leader's end is ended by force.
		err = endSurvivors(ctx, r)
	default:
		return done, false, code.New("verify", s.Code, fmt.Errorf("it is %s and is left alone: %s", s.State, s.Why))
	}
	if err != nil {
		return done, false, err
	}
	fault.At(fault.EndedProcess)
	return done, true, removeTraces(store, r)
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

// examine verifies a record against the running system. The process is given,
// for the caller to close, when it is alive and certainly the recorded one.
func (l *Local) examine(ctx context.Context, r *state.Record) (Status, *process.Process) {
	s := recorded(r)
	set := func(c Condition, k code.Code, format string, args ...any) Status {
		s.State, s.Code, s.Why = c, k, fmt.Sprintf(format, args...)
		return s
	}
	if done, s := placed(r, set); done {
		return s, nil
	}
	if r.Phase != state.Ready && launcherAlive(r) {
		return set(Starting, code.InProgress, "its launcher, process %d, is still at work", r.Launcher.PID), nil
	}
	if r.Phase == state.Intent {
		p, err := unrecorded(r)
		switch {
		case err != nil:
			return set(Unknown, code.IdentityMismatch, "%v", err), nil
		case p != nil:
			return set(Unresponsive, code.BackendUnresponsive, "its launcher was ended before it could verify process %d", p.PID()), p
		}
		return set(Stale, code.IdentityMismatch, "its launcher ended, and no process runs its file with its endpoint"), nil
	}
	p, err := process.Open(r.Identity.PID, r.StartTicks)
	if errors.Is(err, process.ErrGone) {
		return set(Stale, code.IdentityMismatch, "%v", err), nil
	}
	if err != nil {
		return set(Unknown, code.IdentityMismatch, "%v", err), nil
	}
	t, imageErr := recordedImage(ctx, r)
	err = imageErr
	if err == nil {
		defer t.Close()
		err = attemptProbe(ctx, p, t, r.Probe, r.Identity, admission.Trace{})
		if err == nil && p.Alive() {
			return set(Live, "", ""), p
		}
	}
	switch {
	case !p.Alive():
		s = set(Stale, code.IdentityMismatch, "the process ended while it was looked at")
	case errors.Is(err, probe.ErrNotYet):
		return set(Unresponsive, code.BackendUnresponsive, "%v", err), p
	case imageErr == nil:
		// The process is certainly ours; it is its endpoint that is not.
		return set(Unresponsive, codeOr(err, code.BackendUnresponsive), "%v", err), p
	default:
		s = set(Unknown, codeOr(err, code.IdentityMismatch), "%v", err)
	}
	if err := p.Close(); err != nil {
		s.Why += "; " + err.Error()
	}
	return s, nil
}

func codeOr(err error, otherwise code.Code) code.Code {
	if c, ok := code.Of(err); ok {
		return c
	}
	return otherwise
}

// placed tells records of another machine, boot or pid namespace, whose process
// cannot be looked at from here.
func placed(r *state.Record, set func(Condition, code.Code, string, ...any) Status) (bool, Status) {
	machine, _ := endpoint.MachineID()
	if machine != r.MachineID {
		return true, set(Unknown, code.IdentityMismatch, "it was recorded on another machine")
	}
	boot, err := endpoint.BootID()
	if err != nil {
		return true, set(Unknown, code.IdentityMismatch, "%v", err)
	}
	if boot != r.BootID && machine == "" {
		return true, set(Unknown, code.IdentityMismatch, "it was recorded in another boot or on another machine, which have no ids to tell")
	}
	if boot != r.BootID {
		return true, set(Stale, code.IdentityMismatch, "the machine was started anew since")
	}
	ns, err := pidNamespace()
	if err != nil {
		return true, set(Unknown, code.IdentityMismatch, "%v", err)
	}
	if ns != r.PIDNamespace {
		return true, set(Unknown, code.IdentityMismatch, "it was recorded in another pid namespace")
	}
	return false, Status{}
}

// launcherAlive takes a launcher that cannot be looked at for alive.
func launcherAlive(r *state.Record) bool {
	st, err := process.ReadStat(r.Launcher.PID)
	if err != nil {
		return !errors.Is(err, process.ErrGone)
	}
	return st.StartTicks == r.Launcher.StartTicks && st.State != 'Z'
}

// recordedImage opens the running image of a recorded process and compares it
// with the record: inode and digest.
func recordedImage(ctx context.Context, r *state.Record) (*measure.Target, error) {
	mismatch := func(err error) error {
		return &IdentityError{C: code.IdentityMismatch, PID: r.Identity.PID, Err: err}
	}
	f, err := os.Open(fmt.Sprintf("/proc/%d/exe", r.Identity.PID))
	if err != nil {
		return nil, mismatch(err)
	}
	t := &measure.Target{File: f}
	st, err := f.Stat()
	if err == nil {
		err = sameInode(st, r.Binary)
	}
	if err == nil {
		t.Digest, err = measure.SHA256(ctx, f, st.Size())
	}
	if sum := hex.EncodeToString(t.Digest[:]); err == nil && sum != r.Binary.SHA256 {
		err = fmt.Errorf("its image has digest %s, and %s was recorded", sum, r.Binary.SHA256)
	}
	if err != nil {
		return nil, mismatch(errors.Join(err, t.Close()))
	}
	t.Hashed = true
	return t, nil
}
