// Package admission holds what a launcher and a policy engine exchange: the
// dense input of a decision, the decision document, and the settings that shape
// what is measured before a decision can be made.
//
// The launcher fills an [Input]; whoever decides answers with a [Decision]. The
// package knows no policy engine. The zero Decision denies.
//
// The JSON forms are fixed by rego/schema/input.json and decision.json.
package admission

import (
	"context"

	"github.com/spawnward/spawnward/spawner/code"
)

// Decider judges launches. Implementations must be safe for concurrent use and
// must fail closed: a doubt is an error or a Decision whose Allow is false.
type Decider interface {
	// Settings returns what policy has set for a service before anything of it
	// is measured. It must answer for services it has never heard of.
	Settings(service string) Settings
	// Decide judges one launch. A policy that could not be evaluated is an error
	// with one of the policy_… codes; a denial is not an error.
	Decide(ctx context.Context, in *Input) (Decision, error)
}

// Generations is implemented by a Decider whose policy can change while it is in
// use. A launch asks once, and gets its settings and every decision from what it
// was given.
type Generations interface {
	// Generation is the policy in force, which never changes.
	Generation() Decider
}

// Settings is what policy's configuration says about a service ahead of the
// decision.
type Settings struct {
	// Mode is "enforce" or "monitor".
	Mode string
	// Env is the configuration's layer of the backend's environment.
	Env map[string]string
	// MaxBinaryBytes is the largest file that is hashed; a larger one is denied.
	MaxBinaryBytes int64
	// MaxSealedBytes is the largest file that may be copied into a sealed memory
	// file; 0 copies none.
	MaxSealedBytes int64
	// TrustedOwners may write binaries, beside root and the launching user.
	TrustedOwners []int64
	// Binding is the weakest that the decision will accept, as far as it is known
	// ahead of it: a copy is made while the file is measured, or not at all.
	Binding Binding
	// WantParent asks for the digest of the launcher's parent process, which is
	// left out otherwise because it costs a pass over that file.
	WantParent bool
	// Log says how decisions are kept.
	Log LogSettings
}

// LogSettings are the configuration of the decision log. The zero value is the
// strict one.
type LogSettings struct {
	// Warn lets launches go on that cannot be logged (log.on_failure: warn).
	Warn bool
	// MaxBytes is the size at which a new file is begun; 0 is 64 MiB.
	MaxBytes int64
}

// Decision is the answer of the policy. Its zero value denies.
type Decision struct {
	Schema      int         `json:"schema"`
	Allow       bool        `json:"allow"`
	Mode        string      `json:"mode"`
	DecisionID  string      `json:"decision_id"`
	Violations  []Finding   `json:"violations"`
	Warnings    []Finding   `json:"warnings"`
	Waived      []Waived    `json:"waived"`
	Grants      []string    `json:"grants"`
	Obligations Obligations `json:"obligations"`
	Policy      PolicyID    `json:"policy"`
}

// Finding is one rule's objection.
type Finding struct {
	Code        code.Code        `json:"code"`
	Severity    string           `json:"severity"`
	Enforcement code.Enforcement `json:"enforcement"`
	Message     string           `json:"message"`
	Remediation string           `json:"remediation"`
	// Rule is the package of the rule that found it, without "data.".
	Rule string `json:"rule"`
	// Location is where the rule stands, "file:line"; more than one, with ", "
	// between them, when several rules of the package give the code. "" when the
	// code is computed.
	Location string `json:"location,omitempty"`
	// Evidence holds the facts that the rule looked at.
	Evidence map[string]any `json:"evidence"`
}

// Waived is a finding that a dated waiver excuses.
type Waived struct {
	Code    code.Code `json:"code"`
	Waiver  string    `json:"waiver"`
	Expires string    `json:"expires"`
}

// Obligations are what an admission asks of the launch.
type Obligations struct {
	// Binding is the weakest acceptable tie between measured file and process.
	Binding Binding `json:"binding"`
	// Confine is applied before the first instruction; an empty object asks for
	// nothing.
	Confine Confine `json:"confine"`
	// Hooks names the hooks that may run, in order.
	Hooks []string `json:"hooks"`
}

// PolicyID says which policy decided.
type PolicyID struct {
	// ID is "sha256:" and the digest of everything that was loaded.
	ID       string `json:"id"`
	Revision string `json:"revision"`
	Sequence int64  `json:"sequence"`
}

// Binding says how strongly the measured file and the running process are tied.
type Binding string

// The bindings, weakest first.
const (
	Pinned   Binding = "pinned"
	Leased   Binding = "leased"
	Verified Binding = "verified"
	Sealed   Binding = "sealed"
)

// Rank orders bindings; an unknown one ranks below all and satisfies nothing.
func (b Binding) Rank() int {
	switch b {
	case Pinned:
		return 1
	case Leased:
		return 2
	case Verified:
		return 3
	case Sealed:
		return 4
	}
	return 0
}

// Satisfies reports whether b is at least as strong as the demanded binding. An
// unknown demand is satisfied by nothing.
func (b Binding) Satisfies(demanded Binding) bool {
	return demanded.Rank() > 0 && b.Rank() >= demanded.Rank()
}
