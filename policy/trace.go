package policy

import (
	"context"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
)

// tracer notes which rules gave something and what each of them read. It works
// only with rule indexing off: the index reads facts without telling.
type tracer struct {
	input *ast.Term
	runs  map[uint64]*ruleRun   // by query
	byRef map[string][]*ruleRun // by the path of the rule
	all   []*ruleRun
	// touched: a value that stands for a masked one has been looked at.
	touched bool
}

// ruleRun is one evaluation of a rule.
type ruleRun struct {
	rule  *ast.Rule
	path  string // of the rule, "data.launch.rules.file.deny"
	keys  []ast.Value
	reads map[string]bool     // paths below input and data.config
	uses  map[string]struct{} // rules, whose reads it shares
}

func newTracer(input *ast.Term) *tracer {
	return &tracer{input: input, runs: map[uint64]*ruleRun{}, byRef: map[string][]*ruleRun{}}
}

// Enabled is true.
func (t *tracer) Enabled() bool { return true }

// Config asks for the values of variables.
func (t *tracer) Config() topdown.TraceConfig { return topdown.TraceConfig{PlugLocalVars: true} }

// TraceEvent notes one event.
func (t *tracer) TraceEvent(e topdown.Event) {
	switch e.Op {
	case topdown.EnterOp:
		t.enter(e)
	case topdown.EvalOp:
		if x, ok := e.Node.(*ast.Expr); ok {
			t.read(e, x)
		}
	case topdown.ExitOp:
		if r, ok := e.Node.(*ast.Rule); ok {
			t.exit(e, r)
		}
	}
}

func (t *tracer) exit(e topdown.Event, r *ast.Rule) {
	if run := t.runs[e.QueryID]; run != nil && r.Head.Key != nil {
		run.keys = append(run.keys, value(e.Locals, r.Head.Key))
	}
	// What a rule gives can be looked into by a reference to it. What a function
	// gives is bound to a variable first.
	look := &looker{t.input, e.Locals}
	for _, given := range []*ast.Term{r.Head.Key, r.Head.Value} {
		t.touched = t.touched || given != nil && len(r.Head.Args) == 0 && look.held(given)
	}
}

func (t *tracer) enter(e topdown.Event) {
	if r, ok := e.Node.(*ast.Rule); ok {
		run := &ruleRun{rule: r, path: r.Ref().GroundPrefix().String(), reads: map[string]bool{}, uses: map[string]struct{}{}}
		if parent := t.runs[e.ParentID]; parent != nil {
			parent.uses[run.path] = struct{}{}
		}
		t.runs[e.QueryID] = run
		t.byRef[run.path] = append(t.byRef[run.path], run)
		t.all = append(t.all, run)
		return
	}
	if t.runs[e.QueryID] == nil {
		t.runs[e.QueryID] = t.runs[e.ParentID]
	}
}

// value gives what a term is bound to.
func value(locals *ast.ValueMap, t *ast.Term) ast.Value {
	if _, ok := t.Value.(ast.Var); ok && locals != nil {
		if v := locals.Get(t.Value); v != nil {
			return v
		}
	}
	return t.Value
}

// read notes the references of an expression. What stands in a comprehension or
// under a negation has events of its own.
func (t *tracer) read(e topdown.Event, x *ast.Expr) {
	for _, term := range operands(x) {
		for _, r := range refs(term) {
			t.note(t.runs[e.QueryID], e.Locals, r)
		}
	}
	t.touched = t.touched || touches(t.input, e.Locals, x)
}

func operands(x *ast.Expr) []*ast.Term {
	switch terms := x.Terms.(type) {
	case *ast.Term:
		return []*ast.Term{terms}
	case []*ast.Term:
		return terms
	case *ast.Every:
		return []*ast.Term{terms.Domain}
	}
	return nil
}

// refs lists the references in a term, without those of comprehensions.
func refs(term *ast.Term) []ast.Ref {
	var out []ast.Ref
	var v *ast.GenericVisitor
	v = ast.NewGenericVisitor(func(n any) bool {
		switch n := n.(type) {
		case *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension:
			return true
		case ast.Ref:
			out = append(out, n)
			for _, part := range n[1:] {
				v.Walk(part)
			}
			return true
		}
		return false
	})
	v.Walk(term)
	return out
}

const effectiveConfig = "data.launch.lib.config.effective"

// note keeps the ground part of a reference.
func (t *tracer) note(run *ruleRun, locals *ast.ValueMap, r ast.Ref) {
	if run == nil {
		return
	}
	bound := make(ast.Ref, 0, len(r))
	for i, part := range r {
		if i > 0 {
			part = ast.NewTerm(value(locals, part))
		}
		if i > 0 && !part.IsGround() {
			break
		}
		bound = append(bound, part)
	}
	text := bound.String()
	switch {
	case strings.HasPrefix(text, "input.doubts."), strings.HasPrefix(text, "input.doubted."): // decides what is evaluated, and nothing else
	case bound[0].Equal(ast.InputRootDocument), strings.HasPrefix(text, "data.config"), strings.HasPrefix(text, "data.catalog"), strings.HasPrefix(text, effectiveConfig+"."):
		if len(bound) > 1 {
			run.reads[text] = true
		}
	case bound[0].Equal(ast.DefaultRootDocument):
		for n := len(bound); n > 1; n-- {
			run.uses[bound[:n].String()] = struct{}{}
		}
	}
}

// facts are the paths that a run and everything that it used have read.
func (t *tracer) facts(run *ruleRun) []string {
	seen, out := map[string]bool{}, map[string]bool{}
	var follow func(r *ruleRun)
	follow = func(r *ruleRun) {
		for path := range r.reads {
			out[path] = true
		}
		for path := range r.uses {
			// How the configuration is found is no fact that a rule is about.
			if seen[path] || path == effectiveConfig {
				continue
			}
			seen[path] = true
			for _, used := range t.byRef[path] {
				follow(used)
			}
		}
	}
	follow(run)
	return slices.DeleteFunc(sortedKeys(out), func(p string) bool {
		// A fact in it was read, or it was passed through.
		for other := range out {
			if other != p && strings.HasPrefix(other, p) && strings.ContainsAny(other[len(p):len(p)+1], ".[") {
				return true
			}
		}
		return false
	})
}

// traced evaluates with a tracer, every rule in full. It takes long beside a
// decision, which people who ask why do not notice.
func (e *Engine) traced(ctx context.Context, in *admission.Input) (ast.Value, *tracer, error) {
	slow := *e
	slow.plain = true
	input, err := slow.input(in)
	if err != nil {
		return nil, nil, err
	}
	t := newTracer(input)
	slow.deadline, slow.tracer = max(e.deadline, tracedDeadline), t
	v, err := slow.evaluate(ctx, input)
	if c, _ := code.Of(err); c == code.PolicyTimeout || c == code.Canceled {
		t = newTracer(input) // the evaluation may still be under way
	}
	return v, t, err
}
