package main

import (
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/spawnward/spawnward/policy/internal/compiled/form"
)

// emitter writes compiled modules in the form that package compiled reads.
// Scalars, variables, references and places are written once.
type emitter struct {
	scalars, refs, places       table
	terms, expressions, entries int   // sizes of the reader's blocks
	err                         error // the first thing that cannot be written
}

// table numbers texts in the order of their first use.
type table struct {
	index map[string]int
	texts []string
}

func (t *table) add(text string) int {
	if t.index == nil {
		t.index = map[string]int{}
	}
	i, ok := t.index[text]
	if !ok {
		i = len(t.texts)
		t.index[text], t.texts = i, append(t.texts, text)
	}
	return i
}

func (e *emitter) fail(what string, v any) string {
	if e.err == nil {
		e.err = fmt.Errorf("%s of the form %T cannot be generated; teach packages generate and compiled", what, v)
	}
	return ""
}

// num writes numbers, seven bits a byte, the low ones first.
func num(values ...int) string {
	var out []byte
	for _, v := range values {
		for ; v >= 0x80; v >>= 7 {
			out = append(out, byte(v)|0x80)
		}
		out = append(out, byte(v))
	}
	return string(out)
}

func (e *emitter) place(loc *ast.Location) string {
	return num(1 + e.places.add(num(e.text(loc.File), loc.Row)))
}

// exprPlace is the place of an expression that can fail; the rule's own says
// enough of a comparison.
func (e *emitter) exprPlace(x *ast.Expr) string {
	if x.IsEquality() || x.Location == nil {
		return num(form.Nowhere)
	}
	return e.place(x.Location)
}

// text gives the number of a string among the scalars.
func (e *emitter) text(s string) int {
	return e.scalars.add(num(form.String, len(s)) + s)
}

func (e *emitter) term(t *ast.Term) string {
	if t == nil {
		return num(form.None)
	}
	switch v := t.Value.(type) {
	case ast.Null:
		return num(form.Scalar, e.scalars.add(num(form.Null)))
	case ast.Boolean:
		kind := form.False
		if v {
			kind = form.True
		}
		return num(form.Scalar, e.scalars.add(num(kind)))
	case ast.String:
		return num(form.Scalar, e.text(string(v)))
	case ast.Number:
		return num(form.Scalar, e.scalars.add(num(form.Number, len(v))+string(v)))
	case ast.Var:
		return num(form.Scalar, e.scalars.add(num(form.Var, len(v))+string(v)))
	case ast.Ref:
		return num(form.Ref, e.ref(v))
	}
	e.terms++
	switch v := t.Value.(type) {
	case ast.Call:
		return num(form.Call) + e.list(v)
	case *ast.Array:
		return num(form.Array) + e.list(elements(v.Foreach))
	case ast.Set:
		return num(form.Set) + e.list(elements(v.Foreach))
	case ast.Object:
		out := num(form.Object, v.Len())
		v.Foreach(func(k, v *ast.Term) { out += e.term(k) + e.term(v) })
		return out
	case *ast.ArrayComprehension:
		return num(form.ArrayOf) + e.term(v.Term) + e.body(v.Body)
	case *ast.SetComprehension:
		return num(form.SetOf) + e.term(v.Term) + e.body(v.Body)
	case *ast.ObjectComprehension:
		return num(form.ObjectOf) + e.term(v.Key) + e.term(v.Value) + e.body(v.Body)
	}
	return e.fail("a term", t.Value)
}

func elements(each func(func(*ast.Term))) []*ast.Term {
	var out []*ast.Term
	each(func(t *ast.Term) { out = append(out, t) })
	return out
}

// ref gives the number of a reference; those inside it come before it.
func (e *emitter) ref(r ast.Ref) int {
	before, entries := len(e.refs.texts), e.entries
	terms := e.terms
	i := e.refs.add(e.list([]*ast.Term(r)))
	if i < before { // known: it is written once
		e.entries, e.terms = entries, terms
	} else {
		e.terms++
	}
	return i
}

func (e *emitter) list(terms []*ast.Term) string {
	out := num(len(terms))
	e.entries += len(terms)
	for _, t := range terms {
		out += e.term(t)
	}
	return out
}

func (e *emitter) body(b ast.Body) string {
	out := num(len(b))
	for i, x := range b {
		if x.Index != i {
			e.fail("an expression out of order", x.Index)
		}
		out += e.expr(x)
	}
	return out
}

func (e *emitter) expr(x *ast.Expr) string {
	e.expressions++
	if len(x.With) > 0 {
		return e.fail("an expression", x.With)
	}
	flags, rest := 0, ""
	switch v := x.Terms.(type) {
	case *ast.Term:
		flags, rest = form.Bare, e.term(v)
	case []*ast.Term:
		flags, rest = form.Apply, e.list(v)
	case *ast.Not:
		flags, rest = form.Not, e.body(v.Body)
		if v.ExplicitBody {
			flags += form.Explicit
		}
	case *ast.Every:
		flags, rest = form.Every, e.term(v.Key)+e.term(v.Value)+e.term(v.Domain)+e.body(v.Body)
	default:
		return e.fail("an expression", x.Terms)
	}
	if x.Negated {
		flags += form.Negated
	}
	if x.Generated {
		flags += form.Generated
	}
	return num(flags) + e.exprPlace(x) + rest
}

func (e *emitter) rule(r *ast.Rule) string {
	h := r.Head
	flags := 0
	if h.Assign {
		flags += form.Assign
	}
	if r.Default {
		flags += form.Default
	}
	if r.Else != nil {
		flags += form.Else
	}
	switch {
	case h.Reference[0].Equal(ast.NewTerm(h.Name)):
		flags += form.Named
	case h.Name != "":
		return e.fail("the head "+h.String(), h)
	}
	out := num(flags) + e.place(r.Location) + e.place(h.Location) + e.list(h.Reference) + e.list(h.Args) +
		e.term(h.Key) + e.term(h.Value) + e.body(r.Body)
	if r.Else != nil {
		out += e.rule(r.Else)
	}
	return out
}
