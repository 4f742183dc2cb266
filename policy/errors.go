package policy

import (
	"github.com/spawnward/spawnward/spawner/code"
)

// Error is a policy that does not load or could not be evaluated. It never
// stands for a denial, and whoever gets one must not launch.
type Error struct {
	// C is policy_invalid for a policy that does not load, or whose index is not
	// as it was built, and policy_undefined, policy_conflict, policy_error or
	// policy_timeout for a failed evaluation.
	C code.Code
	// Where names the file and line, the rule, or the part of the document;
	// "" when there is no such place.
	Where string
	// Err says what is wrong and what to do.
	Err error
}

// Error gives "policy: where: what".
func (e *Error) Error() string {
	if e.Where == "" {
		return "policy: " + e.Err.Error()
	}
	return "policy: " + e.Where + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Code returns the stable code.
func (e *Error) Code() code.Code { return e.C }
