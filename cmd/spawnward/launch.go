package main

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"time"

	"github.com/spawnward/spawnward/policy"
	"github.com/spawnward/spawnward/spawner"
	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/service"
)

func (a *app) launch(ctx context.Context, args []string) error {
	l, req, err := a.prepare(ctx, "launch", args)
	if err != nil {
		return a.failLaunch(req, err)
	}
	h, err := l.Launch(ctx, req)
	if err != nil {
		return a.failLaunch(req, err)
	}
	defer h.Close()
	a.warn(h.Report())
	a.tellRepairs(h.Report())
	if a.flags.output == "json" {
		err = a.printJSON(h.Report())
	} else {
		err = a.printHandle(h.Report())
	}
	if err == nil {
		return nil
	}
	if h.Report().Outcome == spawner.Reused {
		return code.New("print the handle", code.OutputFailed, err) // others use it
	}
	// Nobody would know of it: what fails is undone.
	killCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return code.New("print the handle", code.OutputFailed, errors.Join(err, h.Kill(killCtx)))
}

// exec becomes the program; it returns only when that failed.
func (a *app) exec(ctx context.Context, args []string) error {
	l, req, err := a.prepare(ctx, "exec", args)
	if err == nil {
		req.Admitted = a.warn
		err = l.Exec(ctx, req)
	}
	return a.failLaunch(req, err)
}

func (a *app) check(ctx context.Context, args []string) error {
	l, req, err := a.prepare(ctx, "check", args)
	if err != nil {
		return a.failLaunch(req, err)
	}
	r, err := l.Check(ctx, req)
	if err != nil {
		return a.failLaunch(req, err)
	}
	a.warn(r)
	remedies := []policy.Remedy{}
	if r.Decision != nil {
		remedies = a.engine.Remedies(r.Decision, r.Input)
	}
	switch a.flags.output {
	case "json":
		c := a.checkReport(r)
		c.Remedies = remedies
		err = a.printJSON(c)
	case "name":
		err = a.printCodes(r)
	default:
		err = a.printCheck(r, remedies)
	}
	if err == nil && r.Outcome == spawner.Failed {
		return code.New("check", r.Error.Code, errors.New(r.Error.Message))
	}
	if err == nil && r.Outcome == spawner.Denied {
		return silent{&spawner.DeniedError{Decision: *r.Decision}}
	}
	if err == nil && r.Error != nil {
		return a.failCheck(r.Error)
	}
	return err
}

// printCodes prints why a launch would be denied, a code a line.
func (a *app) printCodes(r *spawner.Report) error {
	var b strings.Builder
	if r.Decision != nil {
		for _, f := range r.Decision.Violations {
			b.WriteString(string(f.Code) + "\n")
		}
	}
	return a.printf("%s", b.String())
}

// failCheck ends a check of what policy admits and this machine cannot launch.
func (a *app) failCheck(e *spawner.ReportError) error {
	err := code.New("check", e.Code, errors.New(e.Message))
	if a.flags.output == "json" {
		return silent{err} // the report has it
	}
	return err
}

// failLaunch prints the report of a failed launch, as far as it got.
func (a *app) failLaunch(req spawner.Request, err error) error {
	var f *spawner.Failure
	r := &spawner.Report{Outcome: spawner.Failed, Service: req.Service, Version: req.Version}
	if errors.As(err, &f) {
		r = f.Report
	} else {
		r.Error = &spawner.ReportError{Code: codeOf(err), Message: err.Error()}
	}
	if a.flags.output == "json" {
		return errors.Join(err, a.printJSON(r))
	}
	var denied *spawner.DeniedError
	if errors.As(err, &denied) {
		a.warnLog(r)
		return errors.Join(silent{err}, a.printDenial(r))
	}
	return err
}

// prepare makes the launcher and the request of launch, check and their like.
func (a *app) prepare(ctx context.Context, verb string, args []string) (*spawner.Local, spawner.Request, error) {
	var req spawner.Request
	if len(args) != 1 {
		return nil, req, usage(verb, "it takes one SERVICE[@VERSION], not %d arguments; what the backend gets stands after --", len(args))
	}
	// What is wrong with a name or version is for policy to say.
	var versioned bool
	req.Service, req.Version, versioned = strings.Cut(args[0], "@")
	engine, err := a.loadPolicy(ctx, true)
	if err != nil {
		return nil, req, err
	}
	a.engine = engine
	l, err := a.launcher(engine)
	if err != nil {
		return nil, req, err
	}
	req.Trace = admission.Trace{Traceparent: a.flags.traceparent, Tracestate: a.flags.tracestate, RequestID: a.flags.requestID}
	req.Override = spawner.Override{ReadyTimeout: a.flags.readyTimeout, Settle: a.flags.settle}
	if err := a.checkDurations(verb); err != nil {
		return nil, req, err
	}
	req.Wait, req.NoWait = a.flags.wait.d, a.flags.noWait || a.flags.wait.given && a.flags.wait.d == 0
	if a.flags.binary != "" || a.flags.root != "" {
		req.Definition, err = a.definitionFromFlags(verb, req, versioned)
		return l, req, err
	}
	if a.flags.probe != "" {
		return nil, req, usage(verb, "--probe goes with --binary; a definition has its own in launch.probe")
	}
	if a.flags.dashed {
		return nil, req, usage(verb, "arguments after -- go with --binary; a definition has its own in launch.args")
	}
	if !versioned {
		req.Version, err = a.onlyVersion(req.Service)
	}
	return l, req, err
}

func (a *app) checkDurations(verb string) error {
	if d := a.flags.readyTimeout; d < 0 || d > service.MaxReadyTimeout {
		return usage(verb, "--ready-timeout %v is not between 0 and %v", d, service.MaxReadyTimeout)
	}
	if a.flags.wait.d < 0 {
		return usage(verb, "--wait %v is negative", a.flags.wait.d)
	}
	if a.flags.wait.given && a.flags.noWait {
		return usage(verb, "--wait and --no-wait say different things")
	}
	if d := a.flags.settle; d < 0 || d > service.MaxSettle {
		return usage(verb, "--settle %v is not between 0 and %v", d, service.MaxSettle)
	}
	return nil
}

// definitionFromFlags is the definition that --binary stands for. Empty flags
// stay empty: policy names what is missing.
func (a *app) definitionFromFlags(verb string, req spawner.Request, versioned bool) (*service.Loaded, error) {
	if !versioned {
		return nil, usage(verb, "with --binary the version must be given: %s@1.0.0", req.Service)
	}
	d := service.Defaults()
	d.ServiceName = req.Service
	switch p := service.Probe(a.flags.probe); p {
	case "":
	case service.ProbeIdentity, service.ProbePeer, service.ProbeNotify:
		d.Launch.Probe = p
	default:
		return nil, usage(verb, "--probe %q is not one of identity, peer, notify", p)
	}
	for _, p := range []struct {
		flag string
		to   *string
	}{{a.flags.binary, &d.BinaryPath}, {a.flags.root, &d.PerVersionBinaryDir}} {
		if p.flag == "" {
			continue
		}
		abs, err := filepath.Abs(p.flag)
		if err != nil {
			return nil, err
		}
		*p.to = abs
	}
	d.Launch.Args = a.flags.afterDash
	return &service.Loaded{Definition: &d, Source: service.SourceFlags}, nil // the launcher checks and hashes it
}

// onlyVersion is the version of a definition that lists just one.
func (a *app) onlyVersion(name string) (string, error) {
	pinned, err := a.pinned()
	if err != nil {
		return "", err
	}
	dirs, err := a.serviceDirs(pinned)
	if err != nil {
		return "", err
	}
	l, err := service.Load(dirs, name)
	if err != nil {
		return "", err
	}
	return l.Definition.OnlyVersion()
}
