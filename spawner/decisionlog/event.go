package decisionlog

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
)

// Decision is what policy said about one launch. The JSON form of a line has the
// names of OPA's decision log events where it says the same, and is fixed by
// rego/schema/log.json.
type Decision struct {
	// ID joins the events of a launch.
	ID string
	// Input is what was decided on.
	Input *admission.Input
	// Result is nil when policy could not be evaluated; Error says why.
	Result *admission.Decision
	Error  *Problem
	// GoesOn: a denial that is only monitored.
	GoesOn bool
	// Policy is the policy that was asked.
	Policy admission.PolicyID
	// Durations of the steps so far, in microseconds, by name.
	Durations map[string]int64
	Settings  admission.LogSettings
}

// Outcome is how a launch ended.
type Outcome struct {
	ID       string // of the decision
	Service  string
	Version  string
	Instance string
	// Outcome is "launched", "reused", "denied", "failed" and what else a
	// launcher's report may say.
	Outcome string
	// PID, Endpoint and Binding are of the backend; zero without one.
	PID      int
	Endpoint string
	Binding  admission.Binding
	Probe    string
	// Durations of all steps in microseconds, by name.
	Durations map[string]int64
	Error     *Problem
	// Env is masked in the error's message, which may hold what the backend said.
	Env      []admission.EnvVar
	Settings admission.LogSettings
}

// Problem is a failure with its stable code.
type Problem struct {
	Code    code.Code `json:"code"`
	Message string    `json:"message"`
}

// Kinds of events.
const (
	KindDecision = "decision"
	KindOutcome  = "outcome"
)

// Verdicts of a decision.
const (
	Allowed   = "allowed"
	Denied    = "denied"
	Monitored = "monitored" // denied, and launched all the same
	Failed    = "failed"    // policy could not be evaluated, which denies
)

// Caller is who launched.
type Caller struct {
	UID  int64  `json:"uid"`
	GID  int64  `json:"gid"`
	User string `json:"user"`
	// PID and Exe are of the launcher's parent process.
	PID int64  `json:"pid"`
	Exe string `json:"exe"`
}

// bundle is OPA's word on the version of a policy.
type bundle struct {
	Revision string `json:"revision,omitempty"`
}

type decisionLine struct {
	Event      string              `json:"event"`
	DecisionID string              `json:"decision_id"`
	Timestamp  time.Time           `json:"timestamp"`
	Path       string              `json:"path"`
	Labels     map[string]string   `json:"labels"`
	TraceID    string              `json:"trace_id,omitempty"`
	SpanID     string              `json:"span_id,omitempty"`
	Bundles    map[string]bundle   `json:"bundles,omitempty"`
	Service    string              `json:"service"`
	Version    string              `json:"version"`
	Instance   string              `json:"instance"`
	Digest     string              `json:"digest"` // of the binary; "" when it could not be had
	Verdict    string              `json:"verdict"`
	Codes      []code.Code         `json:"codes"`
	Policy     admission.PolicyID  `json:"policy"`
	Caller     Caller              `json:"caller"`
	Input      *maskedInput        `json:"input"`
	Result     *admission.Decision `json:"result,omitempty"`
	Error      *Problem            `json:"error,omitempty"`
	Erased     []string            `json:"erased"`
	Masked     []string            `json:"masked"`
	Metrics    map[string]int64    `json:"metrics"`
}

func (d *Decision) encode(now time.Time) ([]byte, error) {
	in := d.Input
	line := decisionLine{
		Event: KindDecision, DecisionID: d.ID, Timestamp: now.UTC(), Path: "launch/main/decision",
		Labels:  map[string]string{"app": "spawnward", "version": in.Launcher.Version, "hostname": in.Host.Hostname, "machine_id": in.Host.MachineID},
		Service: in.Request.Service, Version: in.Request.Version, Instance: in.Request.Instance, Digest: in.Binary.SHA256,
		Verdict: d.verdict(), Codes: []code.Code{}, Policy: d.Policy,
		Caller:  Caller{in.Caller.UID, in.Caller.GID, in.Caller.User, in.Caller.Parent.PID, in.Caller.Parent.Exe},
		Metrics: map[string]int64{},
	}
	line.TraceID, line.SpanID = traceIDs(in.Request.Trace.Traceparent)
	if d.Policy.Revision != "" {
		line.Bundles = map[string]bundle{"site": {d.Policy.Revision}}
	}
	line.Input, line.Erased, line.Masked = maskInput(in)
	if d.Error != nil {
		line.Error = &Problem{d.Error.Code, newMasker(in.EnvFacts.Foreign).text(d.Error.Message)}
	}
	if d.Result != nil {
		var masked []string
		line.Result, masked = maskResult(d.Result, in)
		line.Masked = append(line.Masked, masked...)
		for _, f := range d.Result.Violations {
			line.Codes = append(line.Codes, f.Code)
		}
	}
	if d.Error != nil {
		line.Codes = append(line.Codes, d.Error.Code)
	}
	for name, us := range d.Durations {
		line.Metrics["timer_"+name+"_ns"] = us * 1000
	}
	return json.Marshal(line)
}

func (d *Decision) verdict() string {
	switch {
	case d.Result == nil || d.Error != nil:
		return Failed
	case d.Result.Allow:
		return Allowed
	case d.GoesOn:
		return Monitored
	}
	return Denied
}

// traceIDs are the parts of a W3C traceparent; "" when it has not that form.
func traceIDs(parent string) (trace, span string) {
	parts := strings.Split(parent, "-")
	if len(parts) < 4 || len(parts[1]) != 32 || len(parts[2]) != 16 {
		return "", ""
	}
	return parts[1], parts[2]
}

type outcomeLine struct {
	Event       string            `json:"event"`
	DecisionID  string            `json:"decision_id"`
	Timestamp   time.Time         `json:"timestamp"`
	Service     string            `json:"service"`
	Version     string            `json:"version"`
	Instance    string            `json:"instance"`
	Outcome     string            `json:"outcome"`
	PID         int               `json:"pid,omitempty"`
	Endpoint    string            `json:"endpoint,omitempty"`
	Binding     admission.Binding `json:"binding,omitempty"`
	Probe       string            `json:"probe,omitempty"`
	DurationsUS map[string]int64  `json:"durations_us"`
	Error       *Problem          `json:"error,omitempty"`
}

func (o *Outcome) encode(now time.Time) ([]byte, error) {
	line := outcomeLine{
		Event: KindOutcome, DecisionID: o.ID, Timestamp: now.UTC(), Service: o.Service, Version: o.Version, Instance: o.Instance,
		Outcome: o.Outcome, PID: o.PID, Endpoint: o.Endpoint, Binding: o.Binding, Probe: o.Probe, DurationsUS: o.Durations,
	}
	if o.Error != nil {
		line.Error = &Problem{o.Error.Code, newMasker(o.Env).text(o.Error.Message)}
	}
	if line.DurationsUS == nil {
		line.DurationsUS = map[string]int64{}
	}
	return json.Marshal(line)
}
