package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// emitter writes compiled modules as calls of the functions of package
// compiled. Scalars, variables, references and places are written once.
type emitter struct {
	scalars, refs, places table
	err                   error // the first thing that cannot be written
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
		e.err = fmt.Errorf("%s of the form %T cannot be generated; teach package generate to write it", what, v)
	}
	return "nil"
}

func (e *emitter) place(loc *ast.Location) int {
	if loc == nil {
		return e.places.add("{}")
	}
	return e.places.add(fmt.Sprintf("{File: %q, Row: %d}", loc.File, loc.Row))
}

// term writes an expression of type *ast.Term.
func (e *emitter) term(t *ast.Term) string {
	if t == nil {
		return "nil"
	}
	switch v := t.Value.(type) {
	case ast.Null:
		return e.scalar("ast.Null{}")
	case ast.Boolean:
		return e.scalar(fmt.Sprintf("ast.Boolean(%t)", bool(v)))
	case ast.String:
		return e.scalar(fmt.Sprintf("ast.String(%s)", strconv.Quote(string(v))))
	case ast.Number:
		return e.scalar(fmt.Sprintf("ast.Number(%q)", string(v)))
	case ast.Var:
		return e.scalar(fmt.Sprintf("ast.Var(%q)", string(v)))
	case ast.Ref:
		return fmt.Sprintf("l.r(%d)", e.refs.add(e.terms(v)))
	case ast.Call:
		return "call(" + e.terms(v) + ")"
	case *ast.Array:
		return "array(" + e.terms(elements(v.Foreach)) + ")"
	case ast.Set:
		return "set(" + e.terms(elements(v.Foreach)) + ")"
	case ast.Object:
		items := []string{}
		v.Foreach(func(k, v *ast.Term) { items = append(items, "[2]*ast.Term{"+e.term(k)+", "+e.term(v)+"}") })
		return "object(" + strings.Join(items, ", ") + ")"
	case *ast.ArrayComprehension:
		return "arrayOf(" + e.term(v.Term) + e.body(v.Body) + ")"
	case *ast.SetComprehension:
		return "setOf(" + e.term(v.Term) + e.body(v.Body) + ")"
	case *ast.ObjectComprehension:
		return "objectOf(" + e.term(v.Key) + ", " + e.term(v.Value) + e.body(v.Body) + ")"
	}
	return e.fail("a term", t.Value)
}

func elements(each func(func(*ast.Term))) []*ast.Term {
	var out []*ast.Term
	each(func(t *ast.Term) { out = append(out, t) })
	return out
}

func (e *emitter) scalar(text string) string {
	return fmt.Sprintf("l.s(%d)", e.scalars.add("{Value: "+text+"}"))
}

func (e *emitter) terms(terms []*ast.Term) string {
	out := make([]string, len(terms))
	for i, t := range terms {
		out[i] = e.term(t)
	}
	return strings.Join(out, ", ")
}

// body writes expressions as further arguments.
func (e *emitter) body(b ast.Body) string {
	out := ""
	for _, x := range b {
		out += ",\n" + e.expr(x)
	}
	return out
}

func (e *emitter) expr(x *ast.Expr) string {
	at := fmt.Sprintf("(%d, %d", e.place(x.Location), x.Index)
	out := ""
	switch v := x.Terms.(type) {
	case *ast.Term:
		out = "l.t" + at + ", " + e.term(v) + ")"
	case []*ast.Term:
		out = "l.e" + at + ", " + e.terms(v) + ")"
	case *ast.Not:
		out = fmt.Sprintf("l.not%s, %t%s)", at, v.ExplicitBody, e.body(v.Body))
	case *ast.Every:
		out = "l.every" + at + ", " + e.term(v.Key) + ", " + e.term(v.Value) + ", " + e.term(v.Domain) + e.body(v.Body) + ")"
	default:
		return e.fail("an expression", x.Terms)
	}
	if len(x.With) > 0 {
		return e.fail("an expression", x.With)
	}
	if x.Negated {
		out = "negated(" + out + ")"
	}
	if x.Generated {
		out = "generated(" + out + ")"
	}
	return out
}

func (e *emitter) rule(r *ast.Rule) string {
	if r == nil {
		return "nil"
	}
	h := r.Head
	var out bytes.Buffer
	fmt.Fprintf(&out, "{Location: l.p(%d), Head: &ast.Head{Location: l.p(%d), Name: %q, Reference: ast.Ref{%s}", e.place(r.Location), e.place(h.Location), h.Name, e.terms(h.Reference))
	if len(h.Args) > 0 {
		fmt.Fprintf(&out, ", Args: ast.Args{%s}", e.terms(h.Args))
	}
	if h.Key != nil {
		fmt.Fprintf(&out, ", Key: %s", e.term(h.Key))
	}
	if h.Value != nil {
		fmt.Fprintf(&out, ", Value: %s", e.term(h.Value))
	}
	if h.Assign {
		out.WriteString(", Assign: true")
	}
	fmt.Fprintf(&out, "}, Body: ast.Body{%s,\n}", strings.TrimPrefix(e.body(r.Body), ","))
	if r.Default {
		out.WriteString(", Default: true")
	}
	if r.Else != nil {
		out.WriteString(", Else: &ast.Rule" + e.rule(r.Else))
	}
	out.WriteString("}")
	return out.String()
}
