package spawner

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/decisionlog"
	"github.com/spawnward/spawnward/spawner/fault"
)

// A DecisionLog keeps what was decided and what came of it. [decisionlog.Log]
// is the native one. Implementations are safe for concurrent use, and must have
// made a decision durable when Decision returns without an error. They must not
// keep values of environment variables.
type DecisionLog interface {
	Decision(ctx context.Context, d *decisionlog.Decision) error
	Outcome(ctx context.Context, o *decisionlog.Outcome) error
}

// log writes the decision down before anything of the launch takes effect. A
// decision that cannot be written denies, unless log.on_failure is warn; a log
// that the backend could change always does.
func (a *attempt) log(ctx context.Context) error {
	if fault.Mutant("skip-log") {
		return nil
	}
	err := a.logDecision(ctx, nil)
	if err == nil {
		return nil
	}
	a.report.LogError = problem(err)
	if c, _ := code.Of(err); a.settings.Log.Warn && c != code.LogInAllowRoot && ctx.Err() == nil {
		return nil
	}
	return err
}

// logRefusal writes down a decision that ended the launch before it could be
// logged in its place. A launch that never came to a decision leaves nothing.
func (a *attempt) logRefusal(ctx context.Context, cause error) error {
	if a.logged || a.report.Input == nil {
		return cause
	}
	var failed *PolicyError
	errors.As(cause, &failed)
	if err := a.logDecision(context.WithoutCancel(ctx), failed); err != nil {
		a.report.LogError = problem(err)
		return errors.Join(cause, err)
	}
	return cause
}

func (a *attempt) logDecision(ctx context.Context, failed *PolicyError) error {
	d := &decisionlog.Decision{
		ID: a.report.DecisionID, Input: a.report.Input, Result: a.report.Decision,
		Durations: a.report.Timings.byName(), Settings: a.settings.Log,
	}
	if d.Result != nil {
		d.Policy = d.Result.Policy
		d.GoesOn = !d.Result.Allow && admits(d.Result)
	}
	if failed != nil {
		d.Error = &decisionlog.Problem{Code: failed.Code(), Message: failed.Error()}
	}
	if d.ID == "" {
		id, err := newID()
		if err != nil {
			return code.New("log the decision", code.LogFailed, err)
		}
		d.ID, a.report.DecisionID = id, id
	}
	a.logged = true
	return a.l.o.Log.Decision(ctx, d)
}

// logOutcome tells how the launch ended, whatever happened to it.
func (a *attempt) logOutcome(ctx context.Context) {
	if !a.logged {
		return
	}
	r := a.report
	o := &decisionlog.Outcome{
		ID: r.DecisionID, Service: r.Service, Version: r.Version, Instance: r.Instance, Outcome: string(r.Outcome),
		Binding: r.Binding, Probe: r.Probe, Durations: r.Timings.byName(), Settings: a.settings.Log,
		Env: r.Input.EnvFacts.Foreign,
	}
	if r.Identity != nil {
		o.PID, o.Endpoint = r.Identity.PID, r.Identity.Endpoint.Path
	}
	if r.Error != nil {
		o.Error = &decisionlog.Problem{Code: r.Error.Code, Message: r.Error.Message}
	}
	// The decision is on disk; what came of it can no longer be undone here.
	if err := a.l.o.Log.Outcome(context.WithoutCancel(ctx), o); err != nil && r.LogError == nil {
		r.LogError = problem(err)
	}
}

func problem(err error) *ReportError {
	c, ok := code.Of(err)
	if !ok {
		c = code.LogFailed
	}
	return &ReportError{Code: c, Message: err.Error()}
}

func newID() (string, error) {
	var raw [16]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return "", fmt.Errorf("make an id: %w", err)
	}
	return hex.EncodeToString(raw[:]), nil
}

// byName gives the steps that took a microsecond or more.
func (t *Timings) byName() map[string]int64 {
	out := map[string]int64{}
	for _, s := range allSteps() {
		if us := *t.of(s); us != 0 {
			out[string(s)] = us
		}
	}
	if t.Total != 0 {
		out["total"] = t.Total
	}
	return out
}
