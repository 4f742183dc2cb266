package policy

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// memberOfInput is a reference to a member of what 'every' goes through, as it
// is written and from input on.
type memberOfInput struct{ ref, whole ast.Ref }

// everyMember gives the references that the type checker of OPA passes over:
// those in the body of an 'every' over a part of input.
func everyMember(m *ast.Module) []memberOfInput {
	var out []memberOfInput
	ast.NewGenericVisitor(func(x any) bool {
		e, ok := x.(*ast.Every)
		if !ok {
			return false
		}
		domain, ok := e.Domain.Value.(ast.Ref)
		if !ok || !domain[0].Equal(ast.InputRootDocument) {
			return false
		}
		ast.WalkRefs(e.Body, func(r ast.Ref) bool {
			if r[0].Equal(e.Value) {
				out = append(out, memberOfInput{r, slices.Concat(domain, ast.Ref{ast.VarTerm("_")}, r[1:])})
			}
			return false
		})
		return false
	}).Walk(m)
	return out
}
