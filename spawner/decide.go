package spawner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/fault"
	"github.com/spawnward/spawnward/spawner/service"
)

// decide asks policy and holds its answer against what no policy can change.
func (a *attempt) decide(ctx context.Context) error {
	a.report.Script, a.report.Confine = nil, nil
	in := a.input()
	d, err := a.ask(ctx, in)
	if err == nil && in.Binary.Format == "script" {
		err = a.interpret(ctx, in, d)
	}
	if err != nil {
		return err
	}
	if err := a.hooksMayRun(&d.Obligations); err != nil {
		return &PolicyError{Err: code.New("check the decision", code.PolicyFailed, err)}
	}
	if err := a.bind(d.Obligations.Binding); err != nil {
		return err
	}
	return a.planConfinement()
}

// ask takes the decision on one measured file. Without an error it admits.
func (a *attempt) ask(ctx context.Context, in *admission.Input) (*admission.Decision, error) {
	a.report.Input = in
	d, err := a.decider.Decide(ctx, in)
	if err != nil {
		return nil, &PolicyError{Err: err}
	}
	a.report.Decision, a.report.DecisionID = &d, d.DecisionID
	if !admits(&d) && !fault.Mutant("admit-the-denied") {
		return nil, &DeniedError{Decision: d, Running: a.running()}
	}
	if in.Binary.SHA256 == "" || !in.Binary.InsideRoot {
		return nil, &PolicyError{Err: code.New("check the decision", code.PolicyFailed,
			errors.New("policy admitted a binary that was not measured inside its allow-root"))}
	}
	return &d, nil
}

// admits holds for a clean admission, and in monitor mode for a denial whose
// every reason a team could have waived.
func admits(d *admission.Decision) bool {
	if d.Allow {
		return len(d.Violations) == 0
	}
	if d.Mode != "monitor" || len(d.Violations) == 0 {
		return false
	}
	for _, v := range d.Violations {
		if v.Enforcement != code.Standard && !fault.Mutant("monitor-waives-mandatory") {
			return false
		}
	}
	return true
}

// input is the dense document that policy decides on.
func (a *attempt) input() *admission.Input {
	facts := service.Facts(a.loaded)
	facts.Launch.Argv0 = a.argv0
	facts.Launch.Comm = filepath.Base(a.argv0)
	facts.Launch.Dir = a.expanded.Dir
	trace := a.req.Trace
	env := validText(a.env)
	envF := envFacts(a.env)
	envF.Foreign = validText(envF.Foreign)
	in := &admission.Input{
		Schema: 1,
		NowNS:  time.Now().UnixNano(),
		Request: admission.Request{
			Service: valid(a.req.Service), Version: valid(a.req.Version), Instance: a.instance,
			Args:  append([]string{}, a.expanded.Args...),
			Trace: admission.Trace{Traceparent: valid(trace.Traceparent), Tracestate: valid(trace.Tracestate), RequestID: valid(trace.RequestID)},
		},
		Service: facts, Binary: a.subject().Binary, Root: a.subject().Root,
		Caller: a.l.caller(a.ids, a.settings.WantParent),
		Env:    env, EnvFacts: envF,
		Files: []admission.OutputFile{}, Hooks: append([]admission.HookRun{}, a.hooks...),
		Host: host(),
		Launcher: admission.Launcher{
			Version: a.l.o.Version, Mode: a.settings.Mode, Phase: a.phase,
			Bindings: a.bindings(), Confinement: a.confinement(),
		},
	}
	for i, f := range a.expanded.Files {
		in.Files = append(in.Files, admission.OutputFile{
			Name: f.Name, Size: int64(len(f.Content)),
			SHA256: sha256Hex(f.Content), TemplateSHA256: sha256Hex(a.loaded.Definition.Launch.Files[i].Content),
		})
	}
	return in
}

// valid makes text that policy can be given; what it replaces is refused by the
// rules on form.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func validText(vars []admission.EnvVar) []admission.EnvVar {
	out := make([]admission.EnvVar, len(vars))
	for i, v := range vars {
		out[i] = admission.EnvVar{Name: valid(v.Name), Value: valid(v.Value), Origin: v.Origin}
	}
	return out
}

func sha256Hex(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// obligationsDigest names what an admission asks for, the variables of its
// configuration among it; it is part of a record's key.
func (a *attempt) obligationsDigest() (string, error) {
	asked := struct {
		admission.Obligations
		Env map[string]string `json:"env,omitempty"`
	}{a.report.Decision.Obligations, a.settings.Env}
	data, err := json.Marshal(asked)
	if err != nil {
		return "", fmt.Errorf("encode obligations: %w", err)
	}
	return sha256Hex(string(data)), nil
}
