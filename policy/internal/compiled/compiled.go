// Package compiled holds the library's rules as the compiler left them, with
// every check made when they were generated, so that a process that starts
// neither parses nor checks them. `go generate ./policy` makes library.go of
// the embedded files; a test fails when it was not run.
//
// The rules are kept as bytes in one constant, each beside its text. Code that
// builds them by calls is forty times as large, and reading that from disk
// takes longer than this reader does.
package compiled

import (
	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/spawnward/spawnward/policy/internal/compiled/form"
)

// Modules builds a copy of the compiled modules, by file name, for one
// generation of policy. Nobody changes them. Rules have their places, and so
// do expressions that call a function; terms and comparisons have none.
func Modules() map[string]*ast.Module { return (&reader{text: program}).modules() }

// reader goes through a program once. Terms, expressions and lists of terms are
// cut from three blocks whose sizes stand in front.
type reader struct {
	text    string
	at      int
	terms   []ast.Term
	exprs   []ast.Expr
	lists   []*ast.Term
	scalars []ast.Term
	places  []ast.Location
	refs    []*ast.Term
}

func (r *reader) modules() map[string]*ast.Module {
	r.readScalars()
	r.places = make([]ast.Location, r.number())
	for i := range r.places {
		r.places[i] = ast.Location{File: r.name(), Row: r.number()}
	}
	r.refs = make([]*ast.Term, r.number())
	for i := range r.refs {
		r.refs[i] = r.newTerm(ast.Ref(r.list()))
	}
	n := r.number()
	modules := make(map[string]*ast.Module, n)
	for range n {
		name := r.name()
		m := &ast.Module{Package: &ast.Package{Path: r.list()}}
		m.Rules = make([]*ast.Rule, r.number())
		for i := range m.Rules {
			m.Rules[i] = r.rule(m)
		}
		modules[name] = m
	}
	return modules
}

// readScalars makes the blocks and reads the table of scalars.
func (r *reader) readScalars() {
	r.terms, r.exprs, r.lists = make([]ast.Term, 0, r.number()), make([]ast.Expr, 0, r.number()), make([]*ast.Term, 0, r.number())
	r.scalars = make([]ast.Term, r.number())
	for i := range r.scalars {
		r.scalars[i].Value = r.scalar()
	}
}

// number reads seven bits a byte, the low ones first.
func (r *reader) number() int {
	n, shift := 0, 0
	for {
		b := r.text[r.at]
		r.at++
		n |= int(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
		shift += 7
	}
}

func (r *reader) string() string {
	n := r.number()
	r.at += n
	return r.text[r.at-n : r.at]
}

func (r *reader) scalar() ast.Value {
	switch r.number() {
	case form.False:
		return ast.Boolean(false)
	case form.True:
		return ast.Boolean(true)
	case form.String:
		return ast.String(r.string())
	case form.Number:
		return ast.Number(r.string())
	case form.Var:
		return ast.Var(r.string())
	}
	return ast.NullValue
}

func (r *reader) place() *ast.Location {
	if n := r.number(); n != form.Nowhere {
		return &r.places[n-1]
	}
	return nil
}

func (r *reader) name() string { return string(r.scalars[r.number()].Value.(ast.String)) }

func (r *reader) newTerm(v ast.Value) *ast.Term {
	r.terms = append(r.terms, ast.Term{Value: v})
	return &r.terms[len(r.terms)-1]
}

// list reads terms into a piece of the block of lists.
func (r *reader) list() []*ast.Term {
	n := r.number()
	from := len(r.lists)
	r.lists = r.lists[:from+n]
	out := r.lists[from : from+n : from+n]
	for i := range out {
		out[i] = r.term()
	}
	return out
}

func (r *reader) term() *ast.Term {
	switch r.number() {
	case form.Scalar:
		return &r.scalars[r.number()]
	case form.Ref:
		return r.refs[r.number()]
	case form.Call:
		return r.newTerm(ast.Call(r.list()))
	case form.Array:
		return r.newTerm(ast.NewArray(r.list()...))
	case form.Set:
		return r.newTerm(ast.NewSet(r.list()...))
	case form.Object:
		n := r.number()
		o := ast.NewObjectWithCapacity(n)
		for range n {
			o.Insert(r.term(), r.term())
		}
		return r.newTerm(o)
	case form.ArrayOf:
		return r.newTerm(&ast.ArrayComprehension{Term: r.term(), Body: r.body()})
	case form.SetOf:
		return r.newTerm(&ast.SetComprehension{Term: r.term(), Body: r.body()})
	case form.ObjectOf:
		return r.newTerm(&ast.ObjectComprehension{Key: r.term(), Value: r.term(), Body: r.body()})
	}
	return nil
}

func (r *reader) body() ast.Body {
	body := make(ast.Body, r.number())
	for i := range body {
		body[i] = r.expr(i)
	}
	return body
}

func (r *reader) expr(index int) *ast.Expr {
	what, at := r.number(), r.place()
	r.exprs = append(r.exprs, ast.Expr{
		Index: index, Location: at, Negated: what&form.Negated != 0, Generated: what&form.Generated != 0,
	})
	e := &r.exprs[len(r.exprs)-1]
	switch what % form.Forms {
	case form.Bare:
		e.Terms = r.term()
	case form.Apply:
		e.Terms = r.list()
	case form.Not:
		e.Terms = &ast.Not{Body: r.body(), ExplicitBody: what&form.Explicit != 0, Location: at}
	case form.Every:
		e.Terms = &ast.Every{Key: r.term(), Value: r.term(), Domain: r.term(), Body: r.body(), Location: at}
	}
	return e
}

func (r *reader) rule(m *ast.Module) *ast.Rule {
	flags := r.number()
	out := &ast.Rule{Module: m, Location: r.place(), Default: flags&form.Default != 0}
	out.Head = &ast.Head{Location: r.place(), Assign: flags&form.Assign != 0}
	out.Head.Reference = r.list()
	if flags&form.Named != 0 {
		out.Head.Name = out.Head.Reference[0].Value.(ast.Var)
	}
	if args := r.list(); len(args) > 0 {
		out.Head.Args = args
	}
	out.Head.Key, out.Head.Value = r.term(), r.term()
	out.Body = r.body()
	if flags&form.Else != 0 {
		out.Else = r.rule(m)
	}
	return out
}
