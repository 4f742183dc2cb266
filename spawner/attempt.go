package spawner

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/endpoint"
	"github.com/spawnward/spawnward/spawner/fault"
	"github.com/spawnward/spawnward/spawner/flight"
	"github.com/spawnward/spawnward/spawner/fswalk"
	"github.com/spawnward/spawnward/spawner/measure"
	"github.com/spawnward/spawnward/spawner/probe"
	"github.com/spawnward/spawnward/spawner/process"
	"github.com/spawnward/spawnward/spawner/service"
	"github.com/spawnward/spawnward/spawner/state"
)

// attempt is one launch on its way: what it knows and what it holds. Its steps
// run one after the other.
type attempt struct {
	l      *Local
	req    Request
	report *Report
	// becomes is set when this process is to become the program.
	becomes bool
	ids     *fswalk.Identities

	// resolve
	loaded   *service.Loaded
	instance string
	endpoint endpoint.Endpoint
	runDir   string
	expanded service.Expanded
	argv0    string
	env      []admission.EnvVar
	settings admission.Settings
	decider  admission.Decider // one generation of policy for the whole launch

	target *measure.Target // what will run
	script *script         // what the target interprets; nil for a program
	logged bool            // a decision was given to the log

	// queue and reuse
	store       *state.Store
	obligations string // digest of what the admission asked for
	field       *flight.Field
	turn        *flight.Turn
	waited      bool
	isAlone     bool
	found       *found

	// hooks and modules stand side by side; phase is that of the next decision.
	hooks   []admission.HookRun
	modules []HookModule
	phase   string

	// intend and later
	rec       *state.Record
	strangers *process.Strangers
	stderr    *stderrTarget
	notices   *probe.Notifications // nil unless the backend notifies
	process   *process.Process
	linked    bool // the directory of a link is there
	released  bool
}

func (l *Local) attempt(req Request) *attempt {
	return &attempt{
		l: l, req: req, ids: l.ids(),
		report: &Report{Outcome: Failed, Service: req.Service, Version: req.Version},
	}
}

// resolve turns the request into everything that can be known without looking
// at the binary.
func (a *attempt) resolve(context.Context) error {
	if err := a.definition(); err != nil {
		return err
	}
	d := a.loaded.Definition
	a.phase = admission.PhaseFinal
	if len(d.Launch.Hooks) > 0 {
		a.phase = admission.PhaseAdmit
		if a.l.o.Shaper == nil {
			return code.New("launch "+a.req.Service, code.Unsupported, fmt.Errorf("this launcher runs no hooks (Options.Shaper is nil): %w", errors.ErrUnsupported))
		}
	}
	if a.req.Override.ReadyTimeout > 0 {
		d.Launch.ReadyTimeout = a.req.Override.ReadyTimeout
	}
	if a.req.Override.Settle > 0 {
		d.Launch.Settle = a.req.Override.Settle
	}
	a.instance = service.InstanceID(d)
	a.report.Instance = a.instance
	a.decider = a.l.o.Decider
	if g, ok := a.decider.(admission.Generations); ok {
		a.decider = g.Generation()
	}
	a.settings = a.decider.Settings(a.req.Service)
	if a.becomes {
		if err := a.checkExec(); err != nil {
			return err
		}
	} else {
		a.report.Probe = string(d.Launch.Probe)
	}
	vars := service.Vars{Service: a.req.Service, Version: a.req.Version, Instance: a.instance}
	if a.wantsEndpoint() {
		at, err := a.l.allocator(a.instance).Allocate()
		if err != nil {
			return err
		}
		a.endpoint = at
		vars.Endpoint, vars.EndpointDir = at.Path, filepath.Dir(at.Path)
	}
	if !a.becomes {
		a.runDir = filepath.Join(a.l.state.path(), "run", a.endpoint.ID())
		vars.RunDir = a.runDir
	}
	var err error
	if a.expanded, err = d.Expand(vars); err != nil {
		return code.New("launch "+a.req.Service, code.ServiceInvalid, err)
	}
	a.argv0 = d.Launch.Argv0
	if a.argv0 == "" {
		a.argv0 = d.BinaryPath
	}
	a.env = a.environment()
	return nil
}

// definition finds what authorises the launch. A name that cannot be one has no
// definition, and policy says what is wrong with it.
func (a *attempt) definition() error {
	switch {
	case a.req.Definition != nil:
		return a.givenDefinition()
	case service.ValidName(a.req.Service) != nil:
		d := service.Defaults()
		a.loaded = &service.Loaded{Definition: &d, Source: service.SourceLibrary, SHA256: fmt.Sprintf("%064d", 0)}
		return nil
	}
	loaded, err := service.Load(a.l.o.Services, a.req.Service)
	if err != nil {
		return err
	}
	a.loaded = loaded
	return nil
}

// givenDefinition takes the caller's definition. One that came from no file is
// checked, copied and hashed here, whatever the caller did.
func (a *attempt) givenDefinition() error {
	given := a.req.Definition
	if given.Definition == nil {
		return code.New("launch "+a.req.Service, code.ServiceInvalid, errors.New("the given definition is empty"))
	}
	loaded, err := service.New(given.Definition, given.Source)
	if err != nil {
		return err
	}
	switch given.Source {
	case service.SourceFile:
		loaded.Path, loaded.Dir, loaded.OwnerUID, loaded.Mode, loaded.SHA256 = given.Path, given.Dir, given.OwnerUID, given.Mode, given.SHA256
	case service.SourceFlags, service.SourceLibrary:
	default:
		return code.New("launch "+a.req.Service, code.ServiceInvalid, fmt.Errorf("definition source %q is not one of file, flags, library", given.Source))
	}
	if name := loaded.Definition.ServiceName; name != a.req.Service {
		return code.New("launch "+a.req.Service, code.ServiceInvalid, fmt.Errorf("the definition is of service %q", name))
	}
	a.loaded = loaded
	return nil
}

func (a *attempt) environment() []admission.EnvVar {
	d := a.loaded.Definition
	env := environment{}
	env.layer(admission.OriginBaseline, baseline(a.ids))
	if fault.Mutant("inherit-env") {
		env.layer(admission.OriginPass, passed([]string{"LANG", "TZ", "SECRET"}, a.l.o.Getenv))
	}
	env.layer(admission.OriginPass, passed(d.Launch.PassEnv, a.l.o.Getenv))
	env.layer(admission.OriginDefinition, a.expanded.Env)
	if !fault.Mutant("forget-configured-env") {
		env.layer(admission.OriginConfig, a.settings.Env)
	}
	env.layer(admission.OriginContract, a.contract())
	if fault.Mutant("definition-over-contract") {
		env.layer(admission.OriginDefinition, a.expanded.Env)
	}
	return env.list()
}

func (a *attempt) contract() map[string]string {
	own := contract(a.req.Service, a.req.Version, a.instance, a.endpoint, a.req.Trace)
	if a.notifies() {
		own[probe.EnvNotifySocket] = a.endpoint.Notify()
	}
	return own
}

func (a *attempt) measure(ctx context.Context) error {
	d := a.loaded.Definition
	limits := a.limits()
	if a.store == nil {
		a.store, _ = a.l.existingState() // who has none knows no digest
	}
	if a.store != nil {
		limits.Cache = a.l.digestsIn(a.store)
	}
	if limits.Cache != nil {
		defer limits.Cache.Close()
	}
	t, err := measure.Measure(ctx, d.BinaryPath, d.PerVersionBinaryDir, limits, a.ids)
	if err != nil && ctx.Err() != nil {
		return canceled(Measure, err)
	}
	if err != nil {
		return err
	}
	a.target, a.report.DigestCached = t, t.Cached
	return a.openHooks()
}

// family is what belongs to the started backend.
func (a *attempt) family() process.Family {
	return process.Family{Leader: a.process, Strangers: a.strangers}
}

// letGo releases what only the attempt itself needs.
func (a *attempt) letGo() {
	_ = a.forget() // read only: nothing can be lost
	if a.stderr != nil {
		a.stderr.close()
	}
	_ = a.closeNotices() // its name is removed with the other traces too
	if a.isAlone {
		<-a.l.launching
	}
	if a.turn != nil {
		_ = a.turn.End() // the lock goes with its descriptor, if not with its file
	}
	if a.field != nil {
		_ = a.field.Close()
	}
	if a.store != nil {
		_ = a.store.Close()
	}
	if a.endpoint.Path != "" && a.process == nil {
		a.l.allocator(a.instance).Release(a.endpoint)
	}
}

// undoTime bounds the end of a killed process: a process that the kernel cannot
// end, for instance in a hanging file system, must not hang its launcher.
const undoTime = 10 * time.Second

// undo takes back whatever was done, in reverse, and wraps the cause. It goes
// on after its own errors and reports them beside the cause.
func (a *attempt) undo(ctx context.Context, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	fault.At(fault.UndoBegun)
	errs := []error{cause}
	alive := false
	if a.process != nil && !fault.Mutant("forget-the-kill") {
		if err := a.family().End(ctx); err != nil {
			errs = append(errs, fmt.Errorf("undo: %w", err))
			alive = true
		}
		if err := a.process.Close(); err != nil {
			errs = append(errs, fmt.Errorf("undo: %w", err))
		}
	}
	fault.At(fault.UndoEnded)
	charged := true
	if a.released {
		if err := a.turn.Charge(); err != nil {
			errs = append(errs, fmt.Errorf("undo: %w", err))
			charged = false
		}
	}
	if a.found != nil {
		_ = a.found.process.Close() // a pidfd has nothing to lose
	}
	// A process that would not end keeps its record, so that it is found again, as
	// does one that counts and could not be counted.
	if a.rec != nil && !alive && charged {
		if err := removeTraces(a.store, a.rec); err != nil {
			errs = append(errs, fmt.Errorf("undo: %w", err))
		}
		a.l.allocator(a.instance).Release(a.endpoint)
	}
	a.letGo()
	return a.failure(errors.Join(errs...))
}

func (a *attempt) failure(err error) error {
	a.report.Outcome = Failed
	var denied *DeniedError
	if errors.As(err, &denied) {
		a.report.Outcome = Denied
	}
	a.report.Error = reportError(err)
	return &Failure{Report: a.report, Err: err}
}

// finish makes the handle; from here on the backend is on its own.
func (a *attempt) finish() (*Handle, error) {
	if f := a.found; f != nil {
		r := a.report
		r.Outcome, r.Identity, r.Binding, r.Probe = Reused, f.rec.Identity, f.rec.Binding, f.rec.Probe
		a.letGo()
		return &Handle{l: a.l, process: f.process, rec: f.rec, report: r}, nil
	}
	a.report.Outcome = Launched
	a.process.AutoReap()
	a.letGo()
	return &Handle{l: a.l, process: a.process, rec: a.rec, report: a.report}, nil
}
