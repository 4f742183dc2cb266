// Package spawner starts local backends under the control of a policy and
// returns a handle only to a process that has proven what it is.
//
// One launch is one straight line ([Local.Launch]): the service's definition is
// read, its binary is opened and measured, the [admission.Decider] decides, the
// intent is written to disk, the measured descriptor is executed as a detached
// process that stops at its exec, its image is compared with the measured file
// before it may run, the endpoint is probed, and the record is completed.
// Whatever fails undoes everything before it: no process, no socket, no file and
// no record stays.
//
// # Guarantees
//
// Linux 5.9 or later: what runs is the descriptor that was hashed, never a path
// (binding "pinned"); nobody wrote to it since before it was hashed ("leased");
// and that was so before its first instruction, or the process died in its stop
// at exec, as it does with its launcher ("verified"). Where a file system cannot
// say who writes, a copy that nobody can change is hashed and executed ("sealed").
// Never less than policy demands is used, and what was had is reported. The
// process is held by pidfd from its birth; who answers
// on the endpoint is compared with it by kernel credentials. Everything else is
// described in the packages that do it: service, measure, process, probe,
// private and state.
//
// Other systems: everything that needs the kernel's help fails with an error
// that wraps errors.ErrUnsupported; nothing is done half.
//
// # What the caller owes
//
// A Decider that fails closed. The package trusts root, the policy, and nobody
// else; see the README for what it does not promise.
package spawner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/decisionlog"
	"github.com/spawnward/spawnward/spawner/endpoint"
	"github.com/spawnward/spawnward/spawner/fswalk"
	"github.com/spawnward/spawnward/spawner/private"
	"github.com/spawnward/spawnward/spawner/process"
	"github.com/spawnward/spawnward/spawner/service"
	"github.com/spawnward/spawnward/spawner/state"
)

// A Launcher starts or discovers one backend and returns a verified handle.
// Launch is safe for concurrent use. On error nothing that it started is left.
// [Local] is the native one; [Func] plugs in another.
type Launcher interface {
	Launch(ctx context.Context, req Request) (*Handle, error)
}

// Request names what is to be launched.
type Request struct {
	// Service and Version are the backend's key; the instance follows from the
	// definition.
	Service string
	Version string
	// Definition is what authorises the launch; nil reads it from the services
	// directories.
	Definition *service.Loaded
	// Trace travels to the backend.
	Trace admission.Trace
	// Override replaces single settings of the definition.
	Override Override
	// Wait bounds how long the launch waits for another one of the same backend
	// (instance, service and version), in this process or another. 0 is as long as
	// that one may take: the definition's ready_timeout and settle, and ten seconds
	// for its undoing. Then, or at once with NoWait, the error is a *[LimitError]
	// with the code in_progress.
	Wait   time.Duration
	NoWait bool
	// Admitted, when not nil, is called by [Local.Exec] once the program is
	// admitted, before this process is changed: what the report warns of can only
	// be told there.
	Admitted func(*Report)
}

// Override holds the settings that a request may change; zero changes nothing.
type Override struct {
	ReadyTimeout time.Duration
	Settle       time.Duration
}

// Options configure a [Local] launcher. Decider is required; every other zero
// value means the user's standard place.
type Options struct {
	Decider admission.Decider
	// Services says where definitions are read from.
	Services service.Dirs
	// StateDir holds a directory of records for each user, named by the user
	// hash; "" is the user's own $XDG_STATE_HOME/spawnward or
	// ~/.local/state/spawnward.
	StateDir string
	// RuntimeDir holds endpoints; "" is $XDG_RUNTIME_DIR or /tmp.
	RuntimeDir string
	// UserHash is 16 lower-case hexadecimal digits; "" computes it, which needs a
	// machine id.
	UserHash string
	// Getenv reads the launcher's environment; nil is os.LookupEnv.
	Getenv func(string) (string, bool)
	// Shaper opens the environment hooks of definitions, as package wasm does; nil
	// refuses every launch that asks for one.
	Shaper Shaper
	// Log keeps decisions; nil is a [decisionlog.Log] in LogDir.
	Log DecisionLog
	// LogDir holds a directory of logs for each user, named by the user hash; ""
	// is the directory log in that of the records.
	LogDir string
	// Observer watches launches; nil watches nothing.
	Observer Observer
	// Adopt makes this process inherit orphans, so that a backend which
	// daemonises can be found and ended. It changes the whole process, and while a
	// launch is under way every new child of the process counts as the backend's:
	// set it only in a command that starts nothing else. Launches of one launcher
	// then start their backends one after the other; without it they do not wait
	// for one another unless they are of the same backend.
	Adopt bool
	// NoDigestCache reads every binary anew at every launch; see [measure.Cache]
	// for what is trusted otherwise.
	NoDigestCache bool
	// Version is told to policy.
	Version string
}

// Local launches backends on this machine. It is safe for concurrent use.
type Local struct {
	o       Options
	uid     int
	runtime place
	state   place

	self      func() (*self, error)            // once
	stopper   func() (*process.Stopper, error) // once: how children are held at their exec
	launching chan struct{}                    // full while a launch with Adopt may have children

	mu         sync.Mutex
	allocators map[string]*endpoint.Allocator
}

// place is a directory of the launcher's own, below one that need not be.
type place struct {
	parent string
	names  []string
}

func (p place) path() string { return filepath.Join(append([]string{p.parent}, p.names...)...) }

// New makes a launcher for the current user. The error has the code
// no_machine_id when the user hash cannot be computed.
func New(o Options) (*Local, error) {
	if o.Decider == nil {
		return nil, errors.New("spawner: a launcher without a Decider would admit nothing")
	}
	if o.Getenv == nil {
		o.Getenv = os.LookupEnv
	}
	uid := os.Geteuid()
	if o.UserHash == "" {
		hash, err := endpoint.UserHash(uid)
		if err != nil {
			return nil, err
		}
		o.UserHash = hash
	}
	if !endpoint.ValidUserHash(o.UserHash) {
		return nil, code.New("name the user", code.Usage, fmt.Errorf("user hash %q is not 16 digits of 0-9 and a-f", o.UserHash))
	}
	l := &Local{o: o, uid: uid, self: sync.OnceValues(lookAtSelf), stopper: sync.OnceValues(process.NewStopper), allocators: map[string]*endpoint.Allocator{}, launching: make(chan struct{}, 1)}
	if o.RuntimeDir == "" {
		o.RuntimeDir, _ = o.Getenv(runtimeVariable)
	}
	l.runtime.parent, l.runtime.names = endpoint.Dir(o.RuntimeDir, uid)
	l.state = place{o.StateDir, []string{o.UserHash}}
	if o.StateDir == "" {
		l.state = place{defaultState(o.Getenv, l.ids()), []string{"spawnward", o.UserHash}}
	}
	if l.o.Log == nil {
		at := place{l.state.parent, append(slices.Clone(l.state.names), "log")}
		if o.LogDir != "" {
			at = place{o.LogDir, []string{o.UserHash}}
		}
		l.o.Log = decisionlog.New(uid, at.parent, at.names...)
	}
	for _, dir := range []string{l.state.path(), l.runtime.path()} {
		if !utf8.ValidString(dir) {
			return nil, code.New("find the directories", code.DirectoryUnsafe, fmt.Errorf("%q is not valid UTF-8; choose another one", dir))
		}
	}
	return l, nil
}

// Log is the decision log that launches are written to.
func (l *Local) Log() DecisionLog { return l.o.Log }

// ids is fresh for every launch: the account files may change in between.
func (l *Local) ids() *fswalk.Identities { return fswalk.NewIdentities(l.uid) }

func (l *Local) openState() (*state.Store, error) {
	return state.Open(l.ids(), l.state.parent, l.state.names...)
}

// PrivateDir opens or makes the directory name in the user's state directory,
// for what a program that uses this package must remember of the user. Close it.
func (l *Local) PrivateDir(name string) (*private.Dir, error) {
	return private.Open(l.ids(), l.state.parent, slices.Concat(l.state.names, []string{name})...)
}

// existingState makes nothing: without a state directory there are no records,
// and the error is fs.ErrNotExist.
func (l *Local) existingState() (*state.Store, error) {
	return state.OpenExisting(l.ids(), l.state.parent, l.state.names...)
}

// allocator is the one allocator of an instance namespace.
func (l *Local) allocator(namespace string) *endpoint.Allocator {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.allocators[namespace]
	if a == nil {
		a = endpoint.NewAllocator(l.runtime.path(), l.o.UserHash, namespace)
		l.allocators[namespace] = a
	}
	return a
}

// canStop says why children cannot be held at their exec here.
func (l *Local) canStop() error {
	_, err := l.stopper()
	return err
}

// tryStop begins to find that out, which a decision needs and which takes as long
// as what comes before one. What it returns waits, so that no child is left.
func (l *Local) tryStop() (wait func()) {
	go func() { _ = l.canStop() }()
	return func() { _ = l.canStop() }
}
