package spawner

import (
	"errors"
	"strconv"
	"time"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/confine"
	"github.com/spawnward/spawnward/spawner/state"
)

// Identity is what is known of a running backend.
type Identity = state.Identity

// Script is a measured script that an interpreter runs.
type Script = state.Script

// Outcome says how a launch or check ended.
type Outcome string

// The outcomes.
const (
	Launched Outcome = "launched"
	Reused   Outcome = "reused"   // a live backend was found and verified anew
	Allowed  Outcome = "allowed"  // of a check
	Executed Outcome = "executed" // of an exec, told in the log alone
	Denied   Outcome = "denied"
	Failed   Outcome = "failed"
)

// Report tells what happened in a launch or a check, as far as it got. Its JSON
// form is fixed by rego/schema/launch.json.
type Report struct {
	Outcome  Outcome           `json:"outcome"`
	Service  string            `json:"service"`
	Version  string            `json:"version"`
	Instance string            `json:"instance"`
	Identity *Identity         `json:"identity,omitempty"`
	Script   *Script           `json:"script,omitempty"` // what the identity's executable interprets
	Binding  admission.Binding `json:"binding,omitempty"`
	Confine  *confine.Plan     `json:"confine,omitempty"` // nil when nothing is asked for
	Probe    string            `json:"probe,omitempty"`
	// Status is what a backend that notifies said last of itself, at most 256
	// bytes; quote it where it is shown.
	Status     string              `json:"status,omitempty"`
	DecisionID string              `json:"decision_id,omitempty"`
	Decision   *admission.Decision `json:"decision,omitempty"`
	Error      *ReportError        `json:"error,omitempty"`
	// LogError says that the decision log could not be written; the launch went on
	// only if policy lets it.
	LogError *ReportError `json:"log_error,omitempty"`
	// HookWarnings are what hooks warn of; the texts, which are the hooks' own, are
	// quoted in ASCII.
	HookWarnings []HookWarning `json:"hook_warnings,omitempty"`
	// DigestCached says that the binary's digest was remembered from an earlier
	// launch; the file has not changed since.
	DigestCached bool `json:"digest_cached,omitempty"`
	// HookStderr is the end of what a hook that ended the launch wrote to standard
	// error, quoted likewise. It may hold values of the environment: it is for the
	// caller, and neither policy nor the log gets it.
	HookStderr string `json:"hook_stderr,omitempty"`
	// Repaired lists what was found dead or unfinished and was cleared away.
	Repaired []Repaired `json:"repaired,omitempty"`
	Timings  Timings    `json:"timings_us"`

	// Input is what policy decided on; nil when it did not get that far.
	Input *admission.Input `json:"-"`
}

// Repaired is what a launch cleared away of an earlier one of its backend:
// record, socket, files, and the process if it still ran.
type Repaired struct {
	PID   int       `json:"pid"` // 0 when nothing had been started
	State Condition `json:"state"`
	Why   string    `json:"why"`
}

// ReportError is a failure in a report.
type ReportError struct {
	Code    code.Code `json:"code"`
	Message string    `json:"message"`
	// RetryAfterMS is set for rate_limited and in_progress: after so many
	// milliseconds at most another try makes sense.
	RetryAfterMS *int64 `json:"retry_after_ms,omitempty"`
	// Running lists processes of the denied backend that an earlier admission let
	// in; they are left running.
	Running []int `json:"running,omitempty"`
}

func reportError(err error) *ReportError {
	c, _ := code.Of(err)
	r := &ReportError{Code: c, Message: err.Error()}
	var limit *LimitError
	if errors.As(err, &limit) {
		ms := (limit.RetryAfter + time.Millisecond - 1).Milliseconds()
		r.RetryAfterMS = &ms
	}
	var denied *DeniedError
	if errors.As(err, &denied) {
		r.Running = denied.Running
	}
	return r
}

// HookWarning is one warning of a hook.
type HookWarning struct {
	Hook    string `json:"hook"`
	Message string `json:"message"`
}

func (r *Report) noteWarnings(hook string, messages []string) {
	for _, m := range messages {
		r.HookWarnings = append(r.HookWarnings, HookWarning{hook, strconv.QuoteToASCII(m)})
	}
}

// noteStderr keeps what tells the author of a hook why it failed.
func (r *Report) noteStderr(text []byte, failed bool) {
	const shown = 1 << 10
	if failed && len(text) > 0 {
		r.HookStderr = strconv.QuoteToASCII(string(text[max(0, len(text)-shown):]))
	}
}

// Timings are the durations of the steps in microseconds; shape is what
// environment hooks took, with the decision on what they made.
type Timings struct {
	Resolve int64 `json:"resolve"`
	Measure int64 `json:"measure"`
	Decide  int64 `json:"decide"`
	Queue   int64 `json:"queue"`
	Reuse   int64 `json:"reuse"`
	Shape   int64 `json:"shape"`
	Log     int64 `json:"log"`
	Intend  int64 `json:"intend"`
	Spawn   int64 `json:"spawn"`
	Verify  int64 `json:"verify"`
	Probe   int64 `json:"probe"`
	Record  int64 `json:"record"`
	Total   int64 `json:"total"`
}

func (t *Timings) add(s Step, d time.Duration) {
	us := d.Microseconds()
	t.Total += us
	*t.of(s) = us
}

func allSteps() []Step {
	return []Step{Resolve, Measure, Decide, Queue, Reuse, Shape, Log, Intend, Spawn, Verify, Probe, Record}
}

// of is where a step's duration stands; that of a step without one is not kept.
func (t *Timings) of(s Step) *int64 {
	switch s {
	case Resolve:
		return &t.Resolve
	case Measure:
		return &t.Measure
	case Decide:
		return &t.Decide
	case Queue:
		return &t.Queue
	case Reuse:
		return &t.Reuse
	case Shape:
		return &t.Shape
	case Log:
		return &t.Log
	case Intend:
		return &t.Intend
	case Spawn:
		return &t.Spawn
	case Verify:
		return &t.Verify
	case Probe:
		return &t.Probe
	case Record:
		return &t.Record
	}
	return new(int64)
}
