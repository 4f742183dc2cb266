// Package code holds the one table of stable failure and denial codes.
//
// A code is the part of an error that programs may branch on: it never changes
// its meaning between releases, while the sentence beside it may be improved.
// Every failure of a launch and every finding of the policy library has exactly
// one entry in [Table]; the exit status of the command, the catalogue printed
// by "policy rules" and the table in the README are made from it.
//
// The package has no state and behaves the same on every operating system.
package code

import "errors"

// Code is a stable identifier in lower-case snake case, such as
// "binary_outside_allow_root".
type Code string

// Exit statuses of the command.
const (
	ExitOK       = 0 // the command did what it was asked to do
	ExitOther    = 1 // any failure without a status of its own
	ExitUsage    = 2 // the command line is wrong
	ExitDenied   = 3 // policy decided against the launch
	ExitPolicy   = 4 // policy could not be evaluated
	ExitSpawn    = 5 // the program could not be started as demanded
	ExitIdentity = 6 // the running process is not the measured one
	ExitProbe    = 7 // not ready, or the probe failed
	ExitLimited  = 8 // rate limited, or another launch is in progress
)

// Enforcement says who may weaken a policy code.
type Enforcement string

// The two levels of a library code. Launcher codes have none.
const (
	// Mandatory findings deny in every mode; no waiver or setting changes that.
	Mandatory Enforcement = "mandatory"
	// Standard findings deny unless a site sets them to warn or waives them.
	Standard Enforcement = "standard"
)

// Entry describes one code.
type Entry struct {
	// Code is the identifier; unique in [Table].
	Code Code
	// Subject groups codes for people: "request", "placement", "launch", …
	Subject string
	// Exit is the command's exit status when this code ends a launch.
	Exit int
	// Enforcement and Severity ("low", "medium", "high", "critical") are set for
	// codes that policy can find and empty for codes of the launcher itself.
	Enforcement Enforcement
	Severity    string
	// Fix says in one sentence what makes the failure go away.
	Fix string
}

// Policy reports whether the code is a finding of the Rego library.
func (e Entry) Policy() bool { return e.Enforcement != "" }

// Lookup finds the entry of a code. Probe codes that carry a field name
// ("probe_nonce") are listed one by one, so nothing is matched by prefix.
func Lookup(c Code) (Entry, bool) {
	for _, e := range Table() {
		if e.Code == c {
			return e, true
		}
	}
	return Entry{}, false
}

// Exit returns the exit status of a code: [ExitDenied] for the codes of a site's
// own rules ("site_…"), [ExitOther] for a code that is in no table.
func Exit(c Code) int {
	if e, ok := Lookup(c); ok {
		return e.Exit
	}
	if len(c) > 5 && c[:5] == "site_" {
		return ExitDenied
	}
	return ExitOther
}

// Coder is implemented by every error that carries a code.
type Coder interface {
	error
	Code() Code
}

// Of returns the code of the outermost error in err's chain that has one.
func Of(err error) (Code, bool) {
	var c Coder
	if errors.As(err, &c) {
		return c.Code(), true
	}
	return "", false
}

// Error is the failure of an operation that callers do not branch on by type:
// Op names the operation ("load service"), C is the stable code, Err the cause.
type Error struct {
	Op  string
	C   Code
	Err error
}

// New wraps err with the operation's name and a code.
func New(op string, c Code, err error) *Error { return &Error{Op: op, C: c, Err: err} }

// Error gives "op: cause", without an Op the cause alone.
func (e *Error) Error() string {
	if e.Op == "" {
		return e.Err.Error()
	}
	return e.Op + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Code returns the stable code.
func (e *Error) Code() Code { return e.C }
