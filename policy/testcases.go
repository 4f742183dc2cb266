package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// A test is a rule whose name begins with one of these, as for OPA's own tester.
const (
	testPrefix    = "test_"
	skippedPrefix = "todo_test_"
)

// stage is a stage of the compiler that changes modules and finds no faults.
func stage(name string, change func(*ast.Module)) ast.CompilerStageDefinition {
	return ast.CompilerStageDefinition{Name: name, MetricName: name, Stage: func(c *ast.Compiler) *ast.Error {
		for _, m := range c.Modules {
			change(m)
		}
		return nil
	}}
}

// testName is the part of a rule's reference up to the name of a test, and that
// name; "" when it is no test. What follows names the cases of a table.
func testName(r *ast.Rule) (ast.Ref, string) {
	ref := r.Head.Ref()
	for i, t := range ref.GroundPrefix() {
		name := ""
		switch v := t.Value.(type) {
		case ast.Var:
			name = string(v)
		case ast.String:
			name = string(v)
		}
		if strings.HasPrefix(name, testPrefix) || strings.HasPrefix(name, skippedPrefix) {
			return ref[:i+1], name
		}
	}
	return nil, ""
}

// testRules are the chosen tests in the order of files and lines.
func testRules(c *ast.Compiler, chosen *regexp.Regexp) []*ast.Rule {
	var out []*ast.Rule
	for _, m := range c.Modules {
		for _, r := range m.Rules {
			ref, name := testName(r)
			if name != "" && chosen.MatchString(m.Package.Path.Extend(ref).String()) {
				out = append(out, r)
			}
		}
	}
	slices.SortFunc(out, func(a, b *ast.Rule) int { return a.Loc().Compare(b.Loc()) })
	return out
}

// numberTests gives tests of the same name names of their own: the second test_x
// of a package is test_x#01.
func numberTests(m *ast.Module) {
	seen := map[string]int{}
	for _, r := range m.Rules {
		ref, name := testName(r)
		if !strings.HasPrefix(name, testPrefix) {
			continue
		}
		n := seen[ref.String()]
		seen[ref.String()]++
		if n == 0 {
			continue
		}
		numbered := fmt.Sprintf("%s#%02d", name, n)
		whole := slices.Clone(r.Head.Ref())
		at := len(ref) - 1
		whole[at] = ast.StringTerm(numbered)
		if at == 0 {
			whole[at] = ast.VarTerm(numbered)
		}
		r.Head.SetRef(whole)
	}
}

// announceCases lets a table of tests, test_x[name] if …, say the name of each case
// as soon as it is known: a case that does not hold is missing in the result, and
// nobody would miss it.
func announceCases(m *ast.Module) {
	for _, r := range m.Rules {
		ref, name := testName(r)
		if !strings.HasPrefix(name, testPrefix) {
			continue
		}
		if names := r.Head.Ref()[len(ref):]; len(names) > 0 && !announces(r.Body) {
			r.Body = announced(r.Body, names)
		}
	}
}

// announces reports whether a test does so itself.
func announces(body ast.Body) bool {
	found := false
	ast.WalkExprs(body, func(e *ast.Expr) bool {
		found = found || e.IsCall() && e.Operator().Equal(ast.Interned.Refs.InternalTestCase)
		return found
	})
	return found
}

// announced puts the call behind the expressions that make the names. Those that
// the compiler appended for that are moved up to where what they need is known;
// the author's own stay where they are.
func announced(body ast.Body, names []*ast.Term) ast.Body {
	at := 0
	for _, name := range names {
		if i := assignment(body, name); i >= 0 {
			e := body[i]
			body = slices.Delete(body, i, i+1)
			body = slices.Insert(body, lastKnown(body, e.Operand(1)), e)
		}
	}
	for _, name := range names {
		at = max(at, lastKnown(body, name))
	}
	call := ast.NewExpr([]*ast.Term{ast.NewTerm(ast.Interned.Refs.InternalTestCase.Copy()), ast.ArrayTerm(names...)})
	body = slices.Insert(body, at, call)
	for i, e := range body {
		e.Index = i
	}
	return body
}

// assignment is the index of the expression that the compiler made to give a name
// its value; -1 when there is none.
func assignment(body ast.Body, name *ast.Term) int {
	return slices.IndexFunc(body, func(e *ast.Expr) bool {
		return e.Generated && (e.IsEquality() || e.IsAssignment()) && e.Operand(0).Equal(name)
	})
}

// lastKnown is the index behind the expressions in which the variables of a term
// stand for the first time.
func lastKnown(body ast.Body, t *ast.Term) int {
	at := 0
	ast.WalkVars(t, func(v ast.Var) bool {
		first := slices.IndexFunc(body, func(e *ast.Expr) bool {
			found := false
			ast.WalkVars(e, func(w ast.Var) bool { found = found || w == v; return found })
			return found
		})
		at = max(at, first+1)
		return false
	})
	return at
}
