package policy

import (
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/spawnward/spawnward/spawner/admission"
)

const tracedDeadline = 10 * time.Second

// stand begins the texts that stand for masked values in a replayed decision.
const stand = "\uE000masked\uE001"

// withStands gives every variable of a logged input such a value.
func withStands(in *admission.Input) *admission.Input {
	out := *in
	fill := func(vars []admission.EnvVar) []admission.EnvVar {
		filled := make([]admission.EnvVar, len(vars))
		for i, v := range vars {
			v.Value = stand + v.Name
			filled[i] = v
		}
		return filled
	}
	out.Env, out.EnvFacts.Foreign = fill(in.Env), fill(in.EnvFacts.Foreign)
	return &out
}

// holds reports whether a value is a stand, or has one in it.
func holds(v ast.Value) bool {
	found := false
	ast.WalkTerms(ast.NewTerm(v), func(t *ast.Term) bool {
		if s, ok := t.Value.(ast.String); ok {
			found = found || strings.Contains(string(s), stand)
		}
		return found
	})
	return found
}

// touches reports whether an expression looks at a stand: takes one out of its
// variable, or compares or computes with something that has one in it. Handing a
// variable of the environment around, and counting, do not. A doubt is a yes.
func touches(input *ast.Term, locals *ast.ValueMap, x *ast.Expr) bool {
	look := &looker{input, locals}
	terms := operands(x)
	_, call := x.Terms.([]*ast.Term)
	for i, term := range terms {
		for _, r := range refs(term) {
			if look.ref(r) {
				return true
			}
		}
		if call && i > 0 && look.held(term) && !look.harmless(x, terms, i) {
			return true
		}
	}
	return false
}

type looker struct {
	input  *ast.Term
	locals *ast.ValueMap
}

// base is what a reference starts from, nil when that is a rule or unknown.
func (l *looker) base(r ast.Ref) ast.Value {
	if r[0].Equal(ast.InputRootDocument) {
		return l.input.Value
	}
	if v := value(l.locals, r[0]); v != r[0].Value {
		return v
	}
	return nil
}

// ref reports whether a reference leads to a stand itself, or uses one as a key.
func (l *looker) ref(r ast.Ref) bool {
	for _, part := range r[1:] {
		if holds(value(l.locals, part)) {
			return true
		}
	}
	for _, v := range l.reach(r) {
		if _, leaf := v.(ast.String); leaf && holds(v) {
			return true
		}
	}
	return false
}

// reach lists what a reference can lead to with the variables bound so far.
func (l *looker) reach(r ast.Ref) []ast.Value {
	base := l.base(r)
	if base == nil {
		return nil
	}
	at := []ast.Value{base}
	for _, part := range r[1:] {
		key := value(l.locals, part)
		var next []ast.Value
		for _, v := range at {
			next = append(next, steps(v, key)...)
		}
		at = next
	}
	return at
}

// steps are the members of v under key, all of them when key is not bound.
func steps(v, key ast.Value) []ast.Value {
	if ast.NewTerm(key).IsGround() {
		if found, err := v.Find(ast.Ref{ast.NewTerm(key)}); err == nil {
			return []ast.Value{found}
		}
		return nil
	}
	var out []ast.Value
	add := func(t *ast.Term) { out = append(out, t.Value) }
	switch v := v.(type) {
	case *ast.Array:
		v.Foreach(add)
	case ast.Set:
		v.Foreach(add)
	case ast.Object:
		v.Foreach(func(_, t *ast.Term) { add(t) })
	}
	return out
}

// held reports whether an operand has a stand in it.
func (l *looker) held(term *ast.Term) bool {
	switch v := term.Value.(type) {
	case ast.Ref:
		for _, reached := range l.reach(v) {
			if holds(reached) {
				return true
			}
		}
		return false
	case ast.Var:
		return holds(value(l.locals, term))
	case *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension:
		return false
	}
	found := holds(term.Value)
	ast.WalkVars(term, func(v ast.Var) bool {
		found = found || holds(value(l.locals, ast.NewTerm(v)))
		return found
	})
	return found
}

// harmless: the operand is only handed on.
func (l *looker) harmless(x *ast.Expr, terms []*ast.Term, at int) bool {
	if x.IsEquality() && len(terms) == 3 {
		return l.free(terms[3-at])
	}
	switch operator := x.Operator().String(); {
	case operator == "count":
		return true
	case strings.HasPrefix(operator, "data."):
		// Its body has events of its own; a pattern among its arguments has none.
		_, isVar := terms[at].Value.(ast.Var)
		return isVar
	}
	return false
}

// free reports whether a term is a variable that is not bound.
func (l *looker) free(t *ast.Term) bool {
	_, isVar := t.Value.(ast.Var)
	if !isVar {
		return false
	}
	_, bound := value(l.locals, t).(ast.Var)
	return bound
}
