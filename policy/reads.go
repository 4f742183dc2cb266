package policy

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// How much of the settings the rules of a site can see.
const (
	readsNothing = iota
	readsOwn     // of lists of digests only what they say of the binary's
	readsAll
)

// settingsRead says how much of the settings a module that was only parsed can
// see, itself or through the library. Long lists are worth it: a rule that asks
// for the mode, or for what the catalogue says of this binary, is no reason to
// read a hundred thousand entries. A doubt is everything.
func settingsRead(m *ast.Module) int {
	if !readsSettings(m) {
		return readsNothing
	}
	a := aliases(m)
	found := readsOwn
	see := func(r ast.Ref) {
		if !a.narrow(a.full(r)) {
			found = readsAll
		}
	}
	var v *ast.GenericVisitor
	v = ast.NewGenericVisitor(func(n any) bool {
		switch n := n.(type) {
		case ast.Ref:
			see(n)
			for _, inner := range n[1:] {
				v.Walk(inner)
			}
			return true
		case ast.Var:
			see(ast.Ref{ast.NewTerm(n)})
		}
		return false
	})
	for _, r := range m.Rules {
		v.Walk(r)
	}
	return found
}

// imports are what a module's imports stand for.
type imports map[ast.Var]ast.Ref

func aliases(m *ast.Module) imports {
	out := imports{}
	for _, i := range m.Imports {
		if r, ok := i.Path.Value.(ast.Ref); ok {
			out[i.Name()] = r
		}
	}
	return out
}

// full is a reference with its import written out.
func (a imports) full(r ast.Ref) ast.Ref {
	if head, ok := r[0].Value.(ast.Var); ok && a[head] != nil {
		return slices.Concat(a[head], r[1:])
	}
	return r
}

// narrow reports whether a reference sees no list of digests, or only what one
// says of the binary's digest.
func (a imports) narrow(r ast.Ref) bool {
	if !r[0].Equal(ast.DefaultRootDocument) {
		return true
	}
	switch part(r, 1) {
	case "site":
		return true
	case "catalog":
		return a.own(r, 2)
	case "config":
		switch part(r, 2) {
		case "mode", "log", "require_grants":
			return true
		case "defaults":
			return a.narrowLayer(r, 3)
		case "services":
			return len(r) > 3 && a.narrowLayer(r, 4)
		}
	case "launch":
		if part(r, 2) != "lib" {
			return false
		}
		switch part(r, 3) {
		case "":
			return false
		case "config":
			return part(r, 4) == "effective" && a.narrowLayer(r, 5)
		}
		return true // other parts of the library see no lists, which a test holds
	}
	return false
}

// narrowLayer is narrow for what follows a layer of the configuration.
func (a imports) narrowLayer(r ast.Ref, i int) bool {
	switch part(r, i) {
	case "":
		return false
	case "digests":
		switch part(r, i+1) {
		case "require_listed":
			return true
		case "allow", "deny":
			return a.own(r, i+2)
		}
		return false
	}
	return true
}

// own reports whether a reference has the binary's digest as its key at i.
func (a imports) own(r ast.Ref, i int) bool {
	if len(r) <= i {
		return false
	}
	key, ok := r[i].Value.(ast.Ref)
	return ok && a.full(key).Equal(ast.MustParseRef("input.binary.sha256"))
}

// part is the name at i in a reference; "" is the end of it, or one that is not
// known before it runs.
func part(r ast.Ref, i int) string {
	if len(r) <= i {
		return ""
	}
	name, _ := r[i].Value.(ast.String)
	return string(name)
}
