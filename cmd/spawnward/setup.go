package main

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime/debug"

	"github.com/spawnward/spawnward/policy"
	"github.com/spawnward/spawnward/spawner"
	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/decisionlog"
	"github.com/spawnward/spawnward/spawner/service"
	"github.com/spawnward/spawnward/wasm"
)

// launcher makes the launcher that flags and the pinned file ask for. Without
// a decider, for commands that launch nothing, every launch is denied.
func (a *app) launcher(d admission.Decider) (*spawner.Local, error) {
	pinned, err := a.pinned()
	if err != nil {
		return nil, err
	}
	state, err := pinned.choose("state", pinned.State, a.flags.state)
	if err != nil {
		return nil, err
	}
	dirs, err := a.serviceDirs(pinned)
	if err != nil {
		return nil, err
	}
	hooks, err := a.hookOptions(pinned)
	if err != nil {
		return nil, err
	}
	if d == nil {
		d = noDecider{}
	}
	log, err := pinned.choose("log", pinned.Log, a.flags.log)
	if err != nil {
		return nil, err
	}
	l, err := spawner.New(spawner.Options{
		Decider: d, Services: dirs, Shaper: wasm.Shaper{Options: hooks}, StateDir: state, LogDir: log, UserHash: a.flags.userHash,
		Getenv: a.getenv, Adopt: true, Version: versionText(), Observer: untilCaught(a.caught),
		NoDigestCache: a.flags.noDigestCache || pinned.DigestCache == "off",
	})
	if err != nil {
		return nil, err
	}
	if own, ok := l.Log().(*decisionlog.Log); ok {
		own.Rotated = a.tellHead
	}
	return l, nil
}

// tellHead tells what to keep of a log file that is full. Nobody may be there to
// read it, which must not end a launch.
func (a *app) tellHead(file, head string) {
	_, _ = fmt.Fprintf(a.stderr, "spawnward: the decision log goes on in a new file; %s ends with %s, keep that for log verify --head\n", file, head)
}

// hookOptions says how hooks run. The engine that makes machine code is a choice
// that root can take from callers.
func (a *app) hookOptions(pinned *pinnedFile) (wasm.Options, error) {
	o := wasm.Options{Worker: a.worker, Engine: wasm.Engine(a.flags.hookEngine), Deadline: a.flags.hookDeadline}
	switch o.Engine {
	case "":
		o.Engine = wasm.Engine(pinned.HookEngine)
	case wasm.Interpreter:
	case wasm.Compiler:
		if pinned.HookEngine == string(wasm.Interpreter) {
			return o, usage("", "--hook-engine %s: %s pins it to %s", o.Engine, pinned.path, wasm.Interpreter)
		}
	default:
		return o, usage("", "--hook-engine %q is not one of %s, %s", o.Engine, wasm.Interpreter, wasm.Compiler)
	}
	if o.Engine == wasm.Compiler {
		o.Cache = a.hookCache()
	}
	if o.Deadline < 0 || o.Deadline > wasm.MaxDeadline {
		return o, usage("", "--hook-deadline %s is not between 0 and %s", o.Deadline, wasm.MaxDeadline)
	}
	return o, nil
}

// hookCache is where the compiler's code is kept: $XDG_CACHE_HOME or ~/.cache
// (XDG Base Directory Specification). Without a home nothing is kept.
func (a *app) hookCache() wasm.Cache {
	dir, _ := a.getenv("XDG_CACHE_HOME")
	if home, _ := a.getenv("HOME"); !filepath.IsAbs(dir) && filepath.IsAbs(home) {
		dir = filepath.Join(home, ".cache")
	}
	if !filepath.IsAbs(dir) {
		return wasm.Cache{}
	}
	return wasm.CacheAt(dir, "spawnward", "hooks")
}

func (a *app) serviceDirs(pinned *pinnedFile) (service.Dirs, error) {
	dir, err := pinned.choose("services", pinned.Services, a.flags.services)
	if err != nil {
		return service.Dirs{}, err
	}
	if pinned.Services != "" {
		// Root's directory alone: no user can add to it.
		return service.Dirs{System: pinned.Services, SystemUID: a.trustedUID}, nil
	}
	return service.DefaultDirs(func(name string) string { v, _ := a.getenv(name); return v }, dir), nil
}

// loadPolicy loads the policy that flags and the pinned file ask for. A mode
// can only be tightened. With ahead the first decision may have to say that the
// policy does not load.
func (a *app) loadPolicy(ctx context.Context, ahead bool) (*policy.Engine, error) {
	pinned, err := a.pinned()
	if err != nil {
		return nil, err
	}
	path, err := pinned.choose("policy", pinned.Policy, a.flags.policy.text)
	if err != nil {
		return nil, err
	}
	if a.flags.mode != "" && a.flags.mode != "enforce" {
		return nil, usage("", "--mode %q: only enforce can be given here; a site's configuration may set monitor", a.flags.mode)
	}
	mode := pinned.Mode
	if a.flags.mode != "" {
		mode = a.flags.mode
	}
	o := policy.Options{Path: path, Mode: mode, Ahead: ahead}
	if o.Keys, err = a.verificationKeys(pinned); err != nil {
		return nil, err
	}
	if len(o.Keys) == 0 {
		return policy.Load(ctx, o)
	}
	return a.loadSigned(ctx, o)
}

// noDecider denies: it stands where nothing is to be launched.
type noDecider struct{}

func (noDecider) Settings(string) admission.Settings { return admission.Settings{Mode: "enforce"} }

func (noDecider) Decide(context.Context, *admission.Input) (admission.Decision, error) {
	return admission.Decision{}, fmt.Errorf("this command launches nothing")
}

// versionText is the module's version as the Go tool recorded it.
func versionText() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
