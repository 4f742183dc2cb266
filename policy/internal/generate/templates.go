package main

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"
)

// showDirectly gives templates the facts that are scalars by their type as they
// are. The compiler puts each into a set first, because a value may be undefined;
// one that a variable holds is not, and the function shows it alike in both forms.
func showDirectly(c *ast.Compiler) {
	for _, m := range c.Modules {
		ast.WalkBodies(m, func(b ast.Body) bool {
			scalars := map[ast.Var]bool{}
			for _, x := range b {
				if v, ok := scalarFact(c, x); ok {
					scalars[v] = true
				} else if x.IsCall() && x.Operator().Equal(ast.InternalTemplateString.Ref()) {
					unwrap(x.Operand(0), scalars)
				}
			}
			return false
		})
	}
}

// scalarFact gives the variable that an expression sets to a fact which is a
// string, a number or a boolean.
func scalarFact(c *ast.Compiler, x *ast.Expr) (ast.Var, bool) {
	if !x.IsEquality() || x.Negated {
		return "", false
	}
	v, isVar := x.Operand(0).Value.(ast.Var)
	r, isRef := x.Operand(1).Value.(ast.Ref)
	if !isVar || !isRef || !r[0].Equal(ast.InputRootDocument) {
		return "", false
	}
	switch c.TypeEnv.GetByRef(r).(type) {
	case types.String, types.Number, types.Boolean:
		return v, true
	}
	return "", false
}

// unwrap replaces sets of one such variable by the variable.
func unwrap(template *ast.Term, scalars map[ast.Var]bool) {
	array, ok := template.Value.(*ast.Array)
	if !ok {
		return
	}
	var parts []*ast.Term
	array.Foreach(func(part *ast.Term) {
		if set, ok := part.Value.(ast.Set); ok && set.Len() == 1 {
			if v, ok := set.Slice()[0].Value.(ast.Var); ok && scalars[v] {
				part = set.Slice()[0]
			}
		}
		parts = append(parts, part)
	})
	template.Value = ast.NewArray(parts...)
}
