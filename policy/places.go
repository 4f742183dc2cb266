package policy

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
)

// complete writes beside findings what the table says of their codes, and puts
// them in order: by the rank of the code, then as the rules gave them. Expired
// waivers come last.
func (e *Engine) complete(lists ...[]admission.Finding) {
	for _, list := range lists {
		for i := range list {
			f := &list[i]
			entry := e.codes[f.Code]
			f.Severity, f.Enforcement, f.Remediation = entry.severity, entry.enforcement, entry.remediation
			if f.Rule == "" {
				f.Rule = entry.rule
			}
		}
		slices.SortStableFunc(list, func(a, b admission.Finding) int { return e.rank(a.Code) - e.rank(b.Code) })
	}
}

func (e *Engine) rank(c code.Code) int {
	if c == code.WaiverExpired {
		return rankSite + 1
	}
	return e.codes[c].order
}

// locate writes the places of their rules into findings. A finding of a code
// that several rules of its package give has all of their places. A code that a
// rule computes has none.
func (e *Engine) locate(lists ...[]admission.Finding) {
	for _, list := range lists {
		for i := range list {
			at := finder{list[i].Rule, string(list[i].Code)}
			text, ok := e.located.Load(at)
			if !ok {
				text, _ = e.located.LoadOrStore(at, e.places(at.rule, at.code))
			}
			list[i].Location = text.(string)
		}
	}
}

// finder is what a finding is found by.
type finder struct{ rule, code string }

// places are the rules of a package that write a code, in the order of lines.
func (e *Engine) places(pkg, code string) string {
	var found []string
	for _, m := range e.compiler().Modules {
		if strings.TrimPrefix(m.Package.Path.String(), "data.") != pkg {
			continue
		}
		for _, r := range m.Rules {
			if writes(r, code) {
				found = append(found, locationOf(r))
			}
		}
	}
	slices.Sort(found)
	return strings.Join(slices.Compact(found), ", ")
}

// writes reports whether a rule has an object with this code.
func writes(r *ast.Rule, code string) bool {
	key, want, found := ast.StringTerm("code"), ast.String(code), false
	ast.WalkTerms(r, func(t *ast.Term) bool {
		if o, ok := t.Value.(ast.Object); ok {
			if v := o.Get(key); v != nil && v.Value.Compare(want) == 0 {
				found = true
			}
		}
		return found
	})
	return found
}
