package spawner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/fault"
	"github.com/spawnward/spawnward/spawner/service"
)

// openHooks reads the hooks of the definition. What is wrong with one is a fact
// for policy to judge.
func (a *attempt) openHooks() error {
	for _, h := range a.loaded.Definition.Launch.Hooks {
		run := admission.HookRun{Name: h.Name, Pinned: h.SHA256, Set: []string{}, Unset: []string{}}
		path, err := a.hookPath(h)
		var module HookModule
		if err == nil {
			module, err = a.l.o.Shaper.OpenHook(a.l.uid, path)
		}
		if errors.Is(err, errors.ErrUnsupported) {
			return code.New("open the hook "+h.Name, code.Unsupported, err)
		}
		if module != nil {
			run.SHA256 = module.SHA256()
		}
		if err == nil && run.SHA256 != h.SHA256 {
			err = code.New("", code.HookDigestMismatch, fmt.Errorf("the SHA-256 of %s is %q", path, run.SHA256))
		}
		if err != nil {
			failHook(&run, err)
		}
		a.hooks, a.modules = append(a.hooks, run), append(a.modules, module)
	}
	return nil
}

// hookPath is where a hook stands. A definition that came from no file has no
// directory that could be meant.
func (a *attempt) hookPath(h service.Hook) (string, error) {
	if filepath.IsAbs(h.Path) {
		return h.Path, nil
	}
	if !filepath.IsAbs(a.loaded.Dir) {
		return "", code.New("", code.ServiceInvalid, fmt.Errorf("its path %q is relative, and the definition has no directory (source %s); write it absolute", h.Path, a.loaded.Source))
	}
	return filepath.Join(a.loaded.Dir, h.Path), nil
}

// failHook notes why a hook may not run or did not run to a good end.
func failHook(run *admission.HookRun, err error) {
	c, ok := code.Of(err)
	if !ok {
		c = code.HookFailed
	}
	run.Error, run.Detail = string(c), valid(err.Error())
}

// shape runs the hooks of an admitted launch in their order, each on what the
// one before it has left, and lets policy judge the result. The first that fails
// is the last that runs.
func (a *attempt) shape(ctx context.Context) error {
	if len(a.hooks) == 0 {
		return nil
	}
	env := environment{}
	for _, v := range a.env {
		env[v.Name] = v
	}
	for i := range a.hooks {
		if err := a.runHook(ctx, i, env); err != nil {
			return err
		}
		if !a.hooks[i].Ran {
			break
		}
	}
	// Not even an allowed hook speaks for the launcher.
	env.layer(admission.OriginContract, a.contract())
	a.env = env.list()
	a.phase = admission.PhaseFinal
	return a.decide(ctx)
}

// runHook runs one hook and notes what became of it; only what is no verdict on
// the hook is an error.
func (a *attempt) runHook(ctx context.Context, i int, env environment) error {
	run, d := &a.hooks[i], a.loaded.Definition
	values := make(map[string]string, len(env))
	for name, v := range env {
		values[name] = v.Value
	}
	reply, err := a.modules[i].Run(ctx, HookInput{
		Name: run.Name, Service: a.req.Service, Version: a.req.Version, Instance: a.instance,
		BinaryPath: a.subject().Binary.Path, BinarySHA256: a.subject().Binary.SHA256,
		Args: slices.Clone(a.expanded.Args), Env: values, Labels: maps.Clone(d.Labels), Config: d.Launch.Hooks[i].Config,
	})
	a.report.noteStderr(reply.Stderr, err != nil || reply.Reject != nil)
	switch {
	case ctx.Err() != nil:
		return canceled(Shape, ctx.Err())
	case errors.Is(err, errors.ErrUnsupported):
		return code.New("run the hook "+run.Name, code.Unsupported, err)
	case err != nil:
		failHook(run, err)
		return nil
	}
	a.report.noteWarnings(run.Name, reply.Warnings)
	if no := reply.Reject; no != nil && !fault.Mutant("ignore-rejection") {
		run.Error, run.Detail = string(code.HookRejected), quoted(no.Code)+": "+strconv.QuoteToASCII(no.Message)
		return nil
	}
	run.Ran = true
	for _, name := range reply.Unset {
		delete(env, name)
		run.Unset = append(run.Unset, quoted(name))
	}
	for name, value := range reply.Set {
		env[name] = admission.EnvVar{Name: name, Value: value, Origin: admission.OriginHook + ":" + run.Name}
		run.Set = append(run.Set, quoted(name))
	}
	slices.Sort(run.Unset)
	slices.Sort(run.Set)
	return nil
}

// quoted is a name of a hook's, quoted unless it is one of a variable: a Shaper
// may be less strict than the one of package wasm.
func quoted(name string) string {
	if validEnvName(name) {
		return name
	}
	return strconv.QuoteToASCII(name)
}

// hooksMayRun holds an admission against what no policy can change: the hooks
// that it names are those of the definition, and no hook failed.
func (a *attempt) hooksMayRun(o *admission.Obligations) error {
	names := make([]string, len(a.hooks))
	for i, h := range a.hooks {
		names[i] = h.Name
		if h.Error != "" || a.phase == admission.PhaseFinal && !h.Ran {
			return fmt.Errorf("policy admitted a launch with the hook %q, which failed: %s", h.Name, h.Detail)
		}
	}
	if !slices.Equal(names, o.Hooks) {
		return fmt.Errorf("policy admitted the hooks %q and not those of the definition, %q", o.Hooks, names)
	}
	return nil
}
