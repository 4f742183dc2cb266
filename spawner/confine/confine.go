// Package confine restricts a backend before its first instruction, and nobody
// else: new privileges, file mode mask, priority, memory pressure, control group,
// capabilities, resource limits and the files it can reach.
//
// What is asked for comes from policy's obligations and, to the stricter side,
// from the service definition ([New]). It is applied in two parts: what the
// kernel inherits from the creating thread ([Applied.OnThread], on a thread that
// is thrown away) and what it takes by process number ([Applied.InStop], while
// the child is held at its exec). [Plan.ApplySelf] does both to a process that is
// about to become the backend.
//
// Guarantees on Linux (5.9 or later; Landlock needs 6.2): all that is asked for
// holds, or an error names the part and the reason and the child must not run.
// The calling program and its other threads are untouched. Other systems: every
// Plan that asks for anything fails with an error that wraps
// errors.ErrUnsupported.
//
// Not promised: that the kernel's own means have no holes. Landlock governs the
// opening of files, not what is open already, not status, attributes and sockets;
// a user namespace has capabilities of its own.
package confine

import (
	"errors"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
)

// Error is a part of the confinement that cannot be had.
type Error struct {
	Key string // as in the configuration: "limits.nofile", "landlock"
	Err error
}

// Error names the part and the reason.
func (e *Error) Error() string { return e.Key + ": " + e.Err.Error() }

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// Code is confinement_unavailable.
func (e *Error) Code() code.Code { return code.ConfinementUnavail }

func lacking(key string, err error) error { return &Error{key, err} }

// Plan is all that will be applied. Its zero value asks for nothing. Its JSON
// form is fixed by rego/schema/launch.json.
type Plan struct {
	admission.Confine
	// Landlock holds a list of rules for each that asked: a file can be used when
	// every one of them lets it. What the backend needs to start and to answer is
	// in them. It stands for the field of the same name of Confine.
	Landlock []Rules `json:"landlock"`
}

// Rules are the complete Landlock rules of one that asked for them.
type Rules struct {
	From   string   `json:"from"` // "policy" or "definition"
	Read   []string `json:"read"`
	Write  []string `json:"write"`
	Exec   []string `json:"exec"`
	asked  admission.Landlock
	binary string // known by its descriptor: its path may be another file by now
}

// Places are the files that a backend cannot do without. Paths are absolute; an
// empty one does not exist.
type Places struct {
	Binary      string // canonical
	Interpreter string // the dynamic loader, or what runs a script; canonical
	EndpointDir string
	RunDir      string
	Stderr      string
}

// New merges what policy and the definition ask for to the stricter side
// ([Merge]) and adds what the backend cannot do without.
func New(policy, definition *admission.Confine, at Places) (*Plan, error) {
	merged, err := Merge(policy, definition)
	if err != nil {
		return nil, err
	}
	p := &Plan{Confine: merged, Landlock: []Rules{}}
	p.Confine.Landlock = nil
	for _, side := range []struct {
		from string
		asks *admission.Landlock
	}{{"policy", policy.Landlock}, {"definition", definition.Landlock}} {
		if side.asks != nil {
			p.Landlock = append(p.Landlock, rules(side.from, side.asks, at))
		}
	}
	return p, nil
}

// IsZero reports whether nothing is asked for.
func (p *Plan) IsZero() bool { return p.Confine.IsZero() && len(p.Landlock) == 0 }

// NeedsStop names what is applied by process number, for which the child must
// be held before its first instruction.
func (p *Plan) NeedsStop() []string {
	keys := []string{}
	for _, key := range p.Confine.Keys() {
		switch key {
		case "nice", "oom_score_adj", "cgroup", "limits":
			keys = append(keys, key)
		}
	}
	return keys
}

// ErrNoStop says that a child which is not held cannot be confined as asked.
var ErrNoStop = errors.New("it is set while the process is held before its first instruction, and this launch cannot hold it")

// Unheld fails when the plan needs a stop that the launch does not have.
func (p *Plan) Unheld() error {
	if keys := p.NeedsStop(); len(keys) > 0 {
		return lacking(keys[0], ErrNoStop)
	}
	return nil
}

func rules(from string, asks *admission.Landlock, at Places) Rules {
	r := Rules{From: from, asked: *asks, binary: at.Binary}
	add := func(to *[]string, paths ...string) {
		for _, p := range paths {
			if p != "" {
				*to = append(*to, p)
			}
		}
	}
	add(&r.Read, asks.Read...)
	add(&r.Write, asks.Write...)
	add(&r.Exec, asks.Exec...)
	both := append([]string{at.Binary, at.Interpreter}, libraries(at.Interpreter)...)
	add(&r.Read, both...)
	add(&r.Exec, both...)
	add(&r.Read, "/dev/null", at.RunDir)
	if at.Interpreter != "" {
		add(&r.Read, loaderCache)
	}
	add(&r.Write, "/dev/null", at.RunDir, at.EndpointDir, at.Stderr)
	for _, list := range []*[]string{&r.Read, &r.Write, &r.Exec} {
		*list = unique(*list)
	}
	return r
}

func unique(paths []string) []string {
	seen, out := map[string]bool{}, []string{}
	for _, p := range paths {
		if !seen[p] {
			seen[p] = true
			out = append(out, p)
		}
	}
	return out
}
