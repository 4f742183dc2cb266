package policy

import (
	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/spawnward/spawnward/spawner/fault"
)

// withoutDeleted takes the rules that find a code out of the library when a build
// with faults is told so, by the mutant "rule:CODE": a rule that can go without a
// case of the suite noticing is not tested. Otherwise it gives what it got.
func withoutDeleted(modules map[string]*ast.Module) map[string]*ast.Module {
	if !fault.Enabled {
		return modules
	}
	for _, m := range modules {
		kept := m.Rules[:0:0]
		for _, r := range m.Rules {
			if !deleted(r) {
				kept = append(kept, r)
			}
		}
		m.Rules = kept
	}
	return modules
}

// deleted reports whether a rule of a set of findings makes the code of the mutant.
func deleted(r *ast.Rule) bool {
	name, _ := r.Head.Ref()[0].Value.(ast.Var)
	if name != "deny" && name != "_ungranted" && name != "_expired" {
		return false
	}
	found := false
	ast.WalkTerms(r, func(t *ast.Term) bool {
		s, ok := t.Value.(ast.String)
		found = found || ok && fault.Mutant("rule:"+string(s))
		return found
	})
	return found
}
