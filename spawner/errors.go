package spawner

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/measure"
	"github.com/spawnward/spawnward/spawner/probe"
	"github.com/spawnward/spawnward/spawner/process"
)

// The errors that callers branch on. Each has a stable code, and wraps its
// cause; use errors.As on what [Local.Launch] returns.
type (
	// MeasureError: the binary could be opened but not measured, or its path
	// would not hold still.
	MeasureError = measure.Error
	// SpawnError: the measured file could not be started as demanded.
	SpawnError = process.Error
	// ProbeError: somebody answered wrongly, or not in time.
	ProbeError = probe.Error
)

// Failure is what [Local.Launch] returns when it fails: the cause, and the
// report of how far it got.
type Failure struct {
	Report *Report
	Err    error
}

// Error is the cause's message.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// DeniedError is a launch that policy decided against.
type DeniedError struct {
	Decision admission.Decision
	// Running lists processes of the backend that an earlier admission let in and
	// that are left running.
	Running []int
}

// Error lists every code with its message, the first of them first.
func (e *DeniedError) Error() string {
	var parts []string
	for _, v := range e.Decision.Violations {
		parts = append(parts, fmt.Sprintf("%s: %s", v.Code, v.Message))
	}
	text := "policy denied the launch without naming a reason"
	if len(parts) > 0 {
		text = "policy denied the launch: " + strings.Join(parts, "; ")
	}
	if len(e.Running) > 0 {
		text += fmt.Sprintf("; admitted earlier and left running: process %s", strings.Trim(fmt.Sprint(e.Running), "[]"))
	}
	return text
}

// Code is the code of the first violation.
func (e *DeniedError) Code() code.Code {
	if len(e.Decision.Violations) == 0 {
		return code.PolicyUndefined
	}
	return e.Decision.Violations[0].Code
}

// PolicyError is a decision that could not be made, which denies.
type PolicyError struct {
	Err error
}

// Error names the operation and the cause.
func (e *PolicyError) Error() string { return "decide: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *PolicyError) Unwrap() error { return e.Err }

// Code is the cause's code if it has one, else policy_error.
func (e *PolicyError) Code() code.Code {
	if c, ok := code.Of(e.Err); ok {
		return c
	}
	return code.PolicyFailed
}

// IdentityError says that a running process is not the one that was measured
// or recorded.
type IdentityError struct {
	C   code.Code // binding_mismatch or identity_mismatch
	PID int
	Err error
}

// Error names the process and the difference.
func (e *IdentityError) Error() string { return fmt.Sprintf("process %d: %v", e.PID, e.Err) }

// Unwrap returns the cause.
func (e *IdentityError) Unwrap() error { return e.Err }

// Code returns the stable code.
func (e *IdentityError) Code() code.Code { return e.C }

// LimitError is a launch that must wait: another launch of the backend is in
// progress, or too many of its children failed.
type LimitError struct {
	C code.Code // in_progress or rate_limited
	// RetryAfter is how long that lasts, in_progress at most; 0 is not known.
	RetryAfter time.Duration
	// PID is the launcher that is at work; 0 is none, or not known.
	PID int
	Err error
}

// Error names the cause.
func (e *LimitError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *LimitError) Unwrap() error { return e.Err }

// Code returns the stable code.
func (e *LimitError) Code() code.Code { return e.C }

// LauncherError is the failure of a launcher that was plugged in.
type LauncherError struct {
	Name string
	Err  error
}

// Error names the launcher and its cause.
func (e *LauncherError) Error() string { return "launcher " + e.Name + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *LauncherError) Unwrap() error { return e.Err }

// Code is the cause's code if it has one, else launcher_failed.
func (e *LauncherError) Code() code.Code {
	if c, ok := code.Of(e.Err); ok {
		return c
	}
	return code.LauncherFailed
}

// ErrNoEndpoint is returned by Connect for a backend that has none.
var ErrNoEndpoint = errors.New("the backend has no endpoint")

func canceled(at Step, err error) error {
	return code.New(string(at), code.Canceled, fmt.Errorf("cancelled: %w", err))
}
