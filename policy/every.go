package policy

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// lintEvery finds references that lead nowhere in the body of an 'every', which
// the type checker of OPA passes over.
func lintEvery(c *ast.Compiler, m *ast.Module) error {
	var found error
	for _, rule := range m.Rules {
		o := origins{at: map[ast.Var]ast.Ref{}, element: map[ast.Var]ast.Ref{}}
		for before := -1; before != o.known(); {
			before = o.known()
			ast.WalkExprs(rule, o.note)
		}
		ast.WalkExprs(rule, func(x *ast.Expr) bool {
			every, ok := x.Terms.(*ast.Every)
			if !ok {
				return false
			}
			ast.WalkRefs(every.Body, func(r ast.Ref) bool {
				if whole := o.whole(r); found == nil && len(whole) > 0 && c.TypeEnv.GetByRef(whole) == nil {
					found = at(r[0].Location, "undefined ref: %s; there is no %s", written(c, r), whole)
				}
				return found != nil
			})
			return found != nil
		})
	}
	return found
}

// origins says from where the variables of a compiled rule, each of which has a
// name of its own, have their values.
type origins struct {
	at      map[ast.Var]ast.Ref
	element map[ast.Var]ast.Ref // of those that are a comprehension
}

func (o origins) known() int { return len(o.at) + len(o.element) }

// note takes what one expression tells.
func (o origins) note(x *ast.Expr) bool {
	if every, ok := x.Terms.(*ast.Every); ok {
		domain, _ := every.Domain.Value.(ast.Var)
		member, _ := every.Value.Value.(ast.Var)
		if of, ok := o.element[domain]; ok {
			o.at[member] = of
		} else if of, ok := o.at[domain]; ok {
			o.at[member] = append(slices.Clone(of), ast.VarTerm("_"))
		}
		return false
	}
	if !x.IsEquality() || len(x.Operands()) != 2 {
		return false
	}
	v, isVar := x.Operand(0).Value.(ast.Var)
	if !isVar {
		return false
	}
	switch from := x.Operand(1).Value.(type) {
	case ast.Ref:
		if whole := o.whole(from); len(whole) > 0 {
			o.at[v] = whole
		}
	case ast.Var:
		if whole, ok := o.at[from]; ok {
			o.at[v] = whole
		}
	case *ast.ArrayComprehension:
		o.noteElement(v, from.Term)
	case *ast.SetComprehension:
		o.noteElement(v, from.Term)
	}
	return false
}

func (o origins) noteElement(v ast.Var, element *ast.Term) {
	if from, ok := element.Value.(ast.Var); ok && o.at[from] != nil {
		o.element[v] = o.at[from]
	}
}

// whole is a reference from input or from a rule of the site on; nil when that is
// not known.
func (o origins) whole(r ast.Ref) ast.Ref {
	if head, ok := r[0].Value.(ast.Var); ok && o.at[head] != nil {
		return slices.Concat(o.at[head], r[1:])
	}
	rule := len(r) > 3 && r.HasPrefix(ast.Ref{ast.DefaultRootDocument, ast.StringTerm("site")}) && r[:4].IsGround()
	if r[0].Equal(ast.InputRootDocument) || rule {
		return r
	}
	return nil
}

// written gives a reference with the variable that its author named.
func written(c *ast.Compiler, r ast.Ref) ast.Ref {
	head, _ := r[0].Value.(ast.Var)
	if name, ok := c.RewrittenVars[head]; ok {
		return slices.Concat(ast.Ref{ast.VarTerm(string(name))}, r[1:])
	}
	return r
}
