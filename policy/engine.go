// Package policy decides launches with Rego: the embedded library of package
// rego, and what a site adds to it.
//
// [Load] reads, checks and compiles one immutable generation; an [Engine] is
// safe for concurrent use and behaves the same on every operating system. It
// fails closed: whatever is not exactly one well-formed decision, consistent in
// itself and with the configuration, is an [*Error] and never an admission.
//
// The package opens the site's files and nothing else. Rules cannot reach the
// network, a clock, randomness or the process.
package policy

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
)

// DefaultDeadline is what one decision may take.
const DefaultDeadline = 250 * time.Millisecond

// Options say what to load.
type Options struct {
	// Path is a site's directory or its bundle; "" loads the embedded library alone.
	// A bundle with an index stays open as long as what was loaded from it is in use.
	Path string
	// Keys, when there are any, demand that the site is a bundle which one of
	// them signed, and that is not older than one that was accepted before.
	Keys []*Key
	// Marks remembers which bundles were accepted. Needed with Keys.
	Marks Marks
	// Mode, when not "", replaces the configuration's mode: "enforce" or
	// "monitor". A machine's pinned file sets it.
	Mode string
	// Deadline is what one decision may take: on Linux of a processor's time, with
	// twenty times as much on the clock as a bound, elsewhere on the clock. 0 is
	// [DefaultDeadline].
	Deadline time.Duration
	// Ahead is for who decides right after loading: [Load] checks and compiles the
	// site in full and does not wait for the decision on the launch that is known to
	// be good. An error of that one is then the error of every decision.
	Ahead bool
}

// Engine is one immutable generation of policy. It implements
// [admission.Decider].
type Engine struct {
	id       admission.PolicyID
	config   *configuration
	codes    map[code.Code]codeEntry
	waivers  map[string]waiver
	compiler func() *ast.Compiler // waits until it is there
	query    ast.Body
	subjects func() error // whether rules of each are there; waits as compiler does
	settings *settings
	// known waits for the decision on a launch that is known to be good, and gives
	// its error; nil when it was waited for.
	known func() error
	// reads is how much of the settings the rules of the site can see.
	reads    int
	catalog  digestList
	words    *vocabulary
	deadline time.Duration
	located  *sync.Map // texts by finder
	warnings []Warning
	// wantParent: a site's rule reads facts of the launcher's parent process.
	wantParent bool
	// notAfterNS is when a bundle ends, as Unix time; 0 is never.
	notAfterNS int64
	// hasSite: rules beside the library's take part.
	hasSite bool
	// plain switches rule indexing and early exit off and has every doubt: each
	// rule is evaluated. Tests compare, and explanations are made so.
	plain bool
	// tracer, when not nil, watches evaluations; see traced.
	tracer topdown.QueryTracer
}

// ID says which policy this is: the digest covers the embedded library and
// everything that was read from the site.
func (e *Engine) ID() admission.PolicyID { return e.id }

// Warning is what whoever loads a policy should know; it changes no decision.
type Warning struct {
	Kind    string `json:"kind"`
	Where   string `json:"where"` // file and line, or part of the site; "" when there is no such place
	Message string `json:"message"`
}

// Kinds of warnings.
const (
	FirstBundle   = "first_bundle"   // nothing was known of earlier bundles of the key
	WaiverExpired = "waiver_expired" // a waiver has no effect any more
	AdvisoryFact  = "advisory_fact"  // a rule rests on what anybody can arrange
)

// Warnings are of the time of loading: expired waivers, rules that rest on
// facts which are only advisory, the first bundle of a key.
func (e *Engine) Warnings() []Warning { return slices.Clone(e.warnings) }

// Settings gives the configuration that shapes a launch before it is measured.
func (e *Engine) Settings(service string) admission.Settings {
	eff := e.config.of(service)
	return admission.Settings{
		Mode: e.config.mode, Env: maps.Clone(eff.envSet), MaxBinaryBytes: eff.maxBytes, MaxSealedBytes: eff.maxSealedBytes,
		TrustedOwners: slices.Clone(eff.trustedOwners), Binding: eff.binding, WantParent: e.wantParent, Log: e.config.log,
	}
}

// Decide judges one launch. Its error is an [*Error] with one of the policy_…
// codes, or the context's error; the Decision beside an error denies.
func (e *Engine) Decide(ctx context.Context, in *admission.Input) (admission.Decision, error) {
	d, err := e.decide(ctx, in)
	if e.known != nil { // by now it was decided too, beside this one
		if err := e.known(); err != nil {
			return admission.Decision{}, err
		}
	}
	return d, err
}

func (e *Engine) decide(ctx context.Context, in *admission.Input) (decision admission.Decision, err error) {
	defer func() {
		if r := recover(); r != nil {
			decision, err = admission.Decision{}, panicked(r)
		}
	}()
	if in == nil {
		return admission.Decision{}, &Error{C: code.PolicyFailed, Where: "input", Err: errors.New("there is no input")}
	}
	if e.notAfterNS != 0 && in.NowNS > e.notAfterNS {
		return admission.Decision{}, &Error{C: code.PolicyInvalid, Where: ".manifest", Err: fmt.Errorf("the bundle ended at %s (metadata.not_after); load a newer one", time.Unix(0, e.notAfterNS).UTC().Format(time.RFC3339))}
	}
	input, err := e.input(in)
	if err != nil {
		return admission.Decision{}, err
	}
	value, err := e.judge(ctx, input)
	if err != nil {
		return admission.Decision{}, err
	}
	d, err := decodeDecision(value)
	if err == nil {
		e.complete(d.Violations, d.Warnings)
		err = e.verify(&d, in)
	}
	if err != nil {
		return admission.Decision{}, &Error{C: code.PolicyFailed, Where: entryPoint, Err: err}
	}
	if d.DecisionID, err = newDecisionID(); err != nil {
		return admission.Decision{}, &Error{C: code.PolicyFailed, Err: err}
	}
	d.Policy = e.id
	e.locate(d.Violations, d.Warnings)
	return d, nil
}

// answer is what an evaluation came to.
type answer struct {
	value ast.Value
	err   error
}

// evaluate judges an input that may come from anywhere. One that lacks a fact, or
// has one of another type, is not judged: a rule about it would say nothing.
// [buildInput] gives no such input.
func (e *Engine) evaluate(ctx context.Context, input *ast.Term) (ast.Value, error) {
	if at, bad := e.words.forms.input.misfit(input.Value); bad {
		return nil, &Error{C: code.PolicyFailed, Where: "input" + at, Err: errors.New("the fact is not there or of another type")}
	}
	return e.judge(ctx, input)
}

// judge runs the entry point and gives its one result. A site's rules may call
// functions that do not look at the deadline: one that has not returned some time
// after it is left behind, and the decision is an error.
func (e *Engine) judge(ctx context.Context, input *ast.Term) (ast.Value, error) {
	if err := e.subjects(); err != nil {
		return nil, err
	}
	cancel := topdown.NewCancel()
	if !e.hasSite {
		return e.run(ctx, input, cancel, cancel.Cancel)
	}
	expired := make(chan struct{})
	expire := sync.OnceFunc(func() { cancel.Cancel(); close(expired) })
	done := make(chan answer, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				done <- answer{err: panicked(r)}
			}
		}()
		roomy()
		value, err := e.run(ctx, input, cancel, expire)
		done <- answer{value, err}
	}()
	select {
	case a := <-done:
		return a.value, a.err
	case <-expired:
	}
	select {
	case a := <-done:
		return a.value, a.err
	case <-time.After(e.deadline):
	}
	if ctx.Err() != nil {
		return nil, code.New("decide", code.Canceled, context.Cause(ctx))
	}
	return nil, e.late()
}

// roomy grows the stack of a new goroutine once, to what an evaluation needs,
// where it would else be copied at each doubling, with the evaluation's frames.
//
//go:noinline
func roomy() byte {
	var room [64 << 10]byte
	return room[runtime.NumGoroutine()%len(room)]
}

// run evaluates on the goroutine of its caller. When the deadline has passed, or
// ctx has ended, it calls expire, which must cancel.
func (e *Engine) run(ctx context.Context, input *ast.Term, cancel topdown.Cancel, expire func()) (ast.Value, error) {
	compiler := e.compiler() // before the deadline begins
	data, err := e.seen(input.Value)
	if err != nil {
		return nil, placed("data", err)
	}
	defer deadline(e.deadline, expire)()
	defer context.AfterFunc(ctx, expire)()

	query := topdown.NewQuery(e.query).WithCompiler(compiler).WithStore(data).WithTransaction(transaction{}).
		WithInput(input).WithCancel(cancel).WithStrictBuiltinErrors(true).WithMetrics(metrics.NoOp())
	if e.plain {
		query = query.WithIndexing(false).WithEarlyExit(false)
	}
	if e.tracer != nil {
		query = query.WithQueryTracer(e.tracer)
	}
	var results []ast.Value
	err = query.Iter(ctx, func(r topdown.QueryResult) error {
		results = append(results, r[resultVar].Value)
		return nil
	})
	if ctx.Err() != nil {
		return nil, code.New("decide", code.Canceled, context.Cause(ctx))
	}
	if err != nil {
		return nil, e.evaluationError(err)
	}
	if len(results) != 1 {
		return nil, &Error{C: code.PolicyUndefined, Where: entryPoint, Err: fmt.Errorf("evaluation gave %d results, want exactly one", len(results))}
	}
	return results[0], nil
}

// seen is the part of the settings that an evaluation looks at.
func (e *Engine) seen(input ast.Value) (*store, error) {
	if e.plain {
		return e.settings.whole()
	}
	text := func(section, name string) string {
		v, err := input.Find(ast.Ref{ast.StringTerm(section), ast.StringTerm(name)})
		if err != nil {
			return ""
		}
		s, _ := v.(ast.String)
		return string(s)
	}
	return e.settings.of(text("request", "service"), text("binary", "sha256"))
}

func panicked(r any) error {
	return &Error{C: code.PolicyFailed, Err: fmt.Errorf("evaluation panicked: %v", r)}
}

func (e *Engine) late() error {
	return &Error{C: code.PolicyTimeout, Where: entryPoint, Err: fmt.Errorf("no decision within %v of processor time", e.deadline)}
}

func (e *Engine) evaluationError(err error) error {
	c := code.PolicyFailed
	if topdown.IsCancel(err) {
		return e.late()
	}
	if te, ok := errors.AsType[*topdown.Error](err); ok && te.Code == topdown.ConflictErr {
		c = code.PolicyConflict
	}
	return &Error{C: c, Err: err}
}

func newDecisionID() (string, error) {
	var raw [16]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return "", err
	}
	return hex.EncodeToString(raw[:]), nil
}
