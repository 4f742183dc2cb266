package policy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/policy/internal/sources"
)

// tables are tests in every form that OPA's tester knows.
const tables = `package site.tables_test

import rego.v2

test_plain if 1 + 1 == 2

test_plain if 1 + 1 == 3

test_plain if {
	some x in [1, 2, 3]
	x > 2
}

todo_test_later if false

test_false := false

test_number := 3

test_object := {}

test_set contains 1 if true

test_undefined if input.root

test_fault if to_number("x") == 1

test_print if {
	print("seen")
	false
}

test_table[note] if {
	some note, case in {"one": {"a": 1, "b": 1}, "two": {"a": 2, "b": 2}}
	case.a == case.b
}

test_missing[note] if {
	some note, case in {"one": {"a": 1, "b": 1}, "two": {"a": 2, "b": 3}}
	case.a == case.b
}

test_late[case.note] if {
	some case in [{"note": "x", "a": 1}, {"note": "y", "a": 2}]
	doubled := case.a * 2
	doubled == 2
}

test_late_all[case.note] if {
	some case in [{"note": "x", "a": 1}, {"note": "y", "a": 2}]
	doubled := case.a * 2
	doubled > 1
}

test_nested[kind][note] if {
	some kind, group in {"k": {"n": 1, "m": 2}}
	some note, value in group
	value < 3
}

test_nested_missing[kind][case.note] if {
	some kind, group in {"k": [{"note": "n", "v": 1}, {"note": "m", "v": 2}]}
	some case in group
	value := case.v
	value < 2
}

test_false_case[note] := value if some note, value in {"a": true, "b": false}

test_dotted.deeper if true

test_computed[sprintf("%s-%d", [case.note, case.n])] if {
	some case in [{"note": "x", "n": 1}, {"note": "y", "n": 2}]
	twice := case.n * 2
	twice == 2
}

test_constant["one"] if false

test_manual[note] if {
	some note in ["a", "b"]
	internal.test_case([note])
	note == "a"
}

test_none[note] if some note in []

test_twice[note] if {
	some note in ["a"]
	note == "b"
}

test_twice[note] if some note in ["a"]
`

// The runner judges as OPA's does, and counts the same lines.
func TestRunnerAgreesWithOPA(t *testing.T) {
	ctx := context.Background()
	short := exampleFiles(t)
	maps.DeleteFunc(short, func(name, _ string) bool { return strings.HasSuffix(name, "_test.rego") })
	short["site/tables/tables_test.rego"] = tables
	for name, f := range map[string]files{"tables": short, "example": exampleFiles(t)} {
		t.Run(name, func(t *testing.T) {
			run := preparedRun(t, f)
			got, err := run.results(ctx, nil, nil)
			require.NoError(t, err)
			want, _, _ := opaResults(t, run, nil)
			require.Len(t, got, len(want))
			for _, r := range got {
				name := r.rule.Module.Package.Path.String() + "." + r.name.String()
				theirs := want[name]
				require.NotNil(t, theirs, name)
				require.Equal(t, theirs.Skip, r.skipped, name)
				require.Equal(t, theirs.Error != nil, r.err != nil, "%s: %v", name, r.err)
				require.Equal(t, !theirs.Fail && !theirs.Skip && theirs.Error == nil, r.held, name)
				require.Equal(t, string(theirs.Output), r.output, name)
				require.Equal(t, *theirs.Location, *r.rule.Loc(), name)
			}
			seen, own := newCoverage(), map[string]*ast.Module{}
			_, err = run.results(ctx, seen, own)
			require.NoError(t, err)
			tracer := cover.New()
			_, _, modules := opaResults(t, run, tracer)
			require.Equal(t, coverageByOPA(tracer.Report(modules), modules), seen.report(own))
		})
	}
}

func preparedRun(t *testing.T, f files) *testRun {
	t.Helper()
	read, err := readDirectory(writeSite(t, f), true)
	require.NoError(t, err)
	s, err := assemble(read)
	require.NoError(t, err)
	e, err := build(Options{}, embedded(), s)
	require.NoError(t, err)
	run := &testRun{site: s, engine: e}
	require.NoError(t, run.prepare())
	return run
}

// opaResults runs the same tests with OPA's own runner.
func opaResults(t *testing.T, run *testRun, tracer *cover.Cover) (map[string]*tester.Result, *ast.Compiler, map[string]*ast.Module) {
	t.Helper()
	ctx, own := context.Background(), map[string]*ast.Module{}
	modules, err := run.modules(own)
	require.NoError(t, err)
	require.NoError(t, addTypes(modules))
	c, err := sources.NewCompiler(testCapabilities(), true)
	require.NoError(t, err)
	store := inmem.NewFromObjectWithOpts(run.data, inmem.OptRoundTripOnWrite(false))
	txn, err := store.NewTransaction(ctx, storage.WriteParams)
	require.NoError(t, err)
	defer store.Abort(ctx, txn)
	runner := tester.NewRunner().SetCompiler(c.WithEnablePrintStatements(true)).SetStore(store).SetModules(modules).
		CapturePrintOutput(true).RaiseBuiltinErrors(true)
	if tracer != nil {
		runner = runner.SetCoverageRuns(nil).SetCoverageQueryTracer(tracer)
	} else {
		runner = runner.EnableTracing(true)
	}
	results, err := runner.RunTests(ctx, txn)
	require.NoError(t, err)
	out := map[string]*tester.Result{}
	for r := range results {
		out[r.Package+"."+r.Name] = r
	}
	return out, c, own
}

func coverageByOPA(r cover.Report, own map[string]*ast.Module) *Coverage {
	out := &Coverage{Missing: []string{}}
	covered, missing := 0, 0
	for _, name := range slices.Sorted(maps.Keys(own)) {
		f := r.Files[name]
		covered += f.CoveredLines
		missing += f.NotCoveredLines
		for _, n := range f.NotCovered {
			place := fmt.Sprintf("%s:%d", name, n.Start.Row)
			if n.End.Row != n.Start.Row {
				place += fmt.Sprintf("-%d", n.End.Row)
			}
			out.Missing = append(out.Missing, place)
		}
	}
	out.Missing = slices.Compact(out.Missing)
	out.Percent = float64(10000*covered/(covered+missing)) / 100
	return out
}
