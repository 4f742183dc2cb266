// Package compiled holds the library's rules as the compiler left them, with
// every check made when they were generated, so that a process that starts
// neither parses nor checks them. `go generate ./policy` makes library.go of
// the embedded files; a test fails when it was not run.
package compiled

import "github.com/open-policy-agent/opa/v1/ast"

// Library is one copy of the library, for one generation of policy. Nobody
// changes it. Terms are without their places; rules and expressions have theirs.
type Library struct {
	// Modules are the compiled modules by file name.
	Modules map[string]*ast.Module

	scalars []ast.Term
	places  []ast.Location
	refs    []ast.Term
}

// New builds a copy.
func New() *Library {
	l := &Library{scalars: scalars(), places: places()}
	l.addRefs()
	l.addModules()
	return l
}

// s is a scalar or a variable, r a reference, at the place p; each is kept once.
func (l *Library) s(i int) *ast.Term     { return &l.scalars[i] }
func (l *Library) r(i int) *ast.Term     { return &l.refs[i] }
func (l *Library) p(i int) *ast.Location { return &l.places[i] }

func (l *Library) ref(terms ...*ast.Term) { l.refs = append(l.refs, ast.Term{Value: ast.Ref(terms)}) }

func (l *Library) module(name string, path ast.Ref, rules ...*ast.Rule) {
	m := &ast.Module{Package: &ast.Package{Path: path}, Rules: rules}
	for _, top := range rules {
		for r := top; r != nil; r = r.Else {
			r.Module = m
		}
	}
	l.Modules[name] = m
}

// e is an expression: a call of a function or a comparison.
func (l *Library) e(place, index int, terms ...*ast.Term) *ast.Expr {
	return &ast.Expr{Terms: terms, Index: index, Location: l.p(place)}
}

// t is an expression that is one term.
func (l *Library) t(place, index int, term *ast.Term) *ast.Expr {
	return &ast.Expr{Terms: term, Index: index, Location: l.p(place)}
}

func (l *Library) not(place, index int, explicit bool, body ...*ast.Expr) *ast.Expr {
	at := l.p(place)
	return &ast.Expr{Terms: &ast.Not{Body: body, ExplicitBody: explicit, Location: at}, Index: index, Location: at}
}

func (l *Library) every(place, index int, key, value, domain *ast.Term, body ...*ast.Expr) *ast.Expr {
	at := l.p(place)
	return &ast.Expr{Terms: &ast.Every{Key: key, Value: value, Domain: domain, Body: body, Location: at}, Index: index, Location: at}
}

func negated(e *ast.Expr) *ast.Expr   { e.Negated = true; return e }
func generated(e *ast.Expr) *ast.Expr { e.Generated = true; return e }

func array(terms ...*ast.Term) *ast.Term     { return ast.NewTerm(ast.NewArray(terms...)) }
func set(terms ...*ast.Term) *ast.Term       { return ast.NewTerm(ast.NewSet(terms...)) }
func object(items ...[2]*ast.Term) *ast.Term { return ast.NewTerm(ast.NewObject(items...)) }
func call(terms ...*ast.Term) *ast.Term      { return ast.NewTerm(ast.Call(terms)) }

func arrayOf(term *ast.Term, body ...*ast.Expr) *ast.Term {
	return ast.NewTerm(&ast.ArrayComprehension{Term: term, Body: body})
}

func setOf(term *ast.Term, body ...*ast.Expr) *ast.Term {
	return ast.NewTerm(&ast.SetComprehension{Term: term, Body: body})
}

func objectOf(key, value *ast.Term, body ...*ast.Expr) *ast.Term {
	return ast.NewTerm(&ast.ObjectComprehension{Key: key, Value: value, Body: body})
}
