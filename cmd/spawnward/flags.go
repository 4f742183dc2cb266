package main

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"
)

// common are the flags of the commands that launch or look at backends.
type common struct {
	output      string
	help        bool
	services    string
	policy      onceValue
	keys        []string
	mode        string
	state       string
	log         string
	logs        logFlags
	against     []string
	userHash    string
	traceparent string
	tracestate  string
	requestID   string

	readyTimeout time.Duration
	settle       time.Duration
	wait         waitValue
	noWait       bool

	noDigestCache bool
	binary        string
	root          string
	probe         string
	showValues    bool
	timeout       time.Duration
	watch         time.Duration
	hookEngine    string
	hookDeadline  time.Duration

	afterDash []string
	dashed    bool
}

// onceValue is a flag that must not be given twice: which of two policies holds
// is no place for a silent rule.
type onceValue struct{ text string }

func (v *onceValue) String() string { return v.text }
func (v *onceValue) Type() string   { return "PATH" }
func (v *onceValue) Set(s string) error {
	if v.text != "" {
		return fmt.Errorf("it was given twice")
	}
	if s == "" {
		return fmt.Errorf("it is empty")
	}
	v.text = s
	return nil
}

// waitValue is a duration that tells 0 from nothing.
type waitValue struct {
	d     time.Duration
	given bool
}

func (v *waitValue) Type() string { return "duration" }
func (v *waitValue) String() string {
	if !v.given {
		return ""
	}
	return v.d.String()
}

func (v *waitValue) Set(s string) (err error) {
	v.d, err = time.ParseDuration(s)
	v.given = true
	return err
}

// waitFlags are those of launch alone.
func (a *app) waitFlags(fs *pflag.FlagSet) {
	a.launchFlags(fs)
	fs.Var(&a.flags.wait, "wait", "how long to wait for a launch of the same backend that is in progress (default: as long as that may take)")
	fs.BoolVar(&a.flags.noWait, "no-wait", false, "fail at once when a launch of the same backend is in progress")
}

func (a *app) stateFlags(fs *pflag.FlagSet) {
	fs.StringVar(&a.flags.state, "state", "", "directory for records (default $XDG_STATE_HOME or ~/.local/state)")
	fs.StringVar(&a.flags.userHash, "user-hash", "", "16 hexadecimal digits that name the user, where the machine has no id")
}

func (a *app) logFlag(fs *pflag.FlagSet) {
	fs.StringVar(&a.flags.log, "log", "", "directory for the decision log (default: log in the directory for records)")
}

func (a *app) policyFlags(fs *pflag.FlagSet) {
	fs.Var(&a.flags.policy, "policy", "a site's policy: a directory or a bundle (default: the embedded library alone)")
	a.keyFlags(fs)
	fs.StringVar(&a.flags.mode, "mode", "", "enforce: overrides a site that only monitors")
}

func (a *app) keyFlags(fs *pflag.FlagSet) {
	fs.StringArrayVar(&a.flags.keys, "verification-key", nil, "a public key in PEM form; the policy must be a bundle that it signed (may be repeated)")
}

func (a *app) servicesFlag(fs *pflag.FlagSet) {
	fs.StringVar(&a.flags.services, "services", "", "directory of service definitions (default ~/.config/running-process/services)")
}

// launchFlags are those of launch and check.
func (a *app) launchFlags(fs *pflag.FlagSet) {
	fs.StringVar(&a.flags.binary, "binary", "", "launch this program, without a definition file")
	fs.StringVar(&a.flags.root, "root", "", "with --binary: the directory that must hold the program")
	fs.StringVar(&a.flags.probe, "probe", "", "with --binary: identity (default), peer or notify")
	a.servicesFlag(fs)
	a.policyFlags(fs)
	a.stateFlags(fs)
	a.logFlag(fs)
	fs.StringVar(&a.flags.traceparent, "traceparent", "", "W3C trace parent to hand on")
	fs.StringVar(&a.flags.tracestate, "tracestate", "", "W3C trace state to hand on")
	fs.StringVar(&a.flags.requestID, "request-id", "", "id of the request that asks for the launch")
	fs.BoolVar(&a.flags.noDigestCache, "no-digest-cache", false, "read the program anew although its digest is remembered")
	fs.DurationVar(&a.flags.readyTimeout, "ready-timeout", 0, "how long the backend may take until it is ready (default: the definition's)")
	fs.StringVar(&a.flags.hookEngine, "hook-engine", "", "how hooks run: interpreter (default) or compiler")
	fs.DurationVar(&a.flags.hookDeadline, "hook-deadline", 0, "how long each hook may take (default 1s, at most 1m)")
	fs.DurationVar(&a.flags.settle, "settle", 0, "how long a backend with the peer probe must stay (default: the definition's)")
}
