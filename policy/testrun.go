package policy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/spawnward/spawnward/policy/internal/sources"
	"github.com/spawnward/spawnward/rego"
)

// TestOptions say how to test a site.
type TestOptions struct {
	Run      string // a regular expression of the names to run; "" runs all
	Coverage bool
}

// TestReport is what the tests of a site gave.
type TestReport struct {
	Results []TestResult `json:"results"` // in the order of files and lines
	Passed  int          `json:"passed"`
	Failed  int          `json:"failed"` // tests that did not hold, and those that ended in an error
	Skipped int          `json:"skipped"`
	// Coverage is of the site's rules; nil when it was not asked for.
	Coverage *Coverage `json:"coverage"`
}

// TestResult is one test.
type TestResult struct {
	Name       string `json:"name"`
	Place      string `json:"place"`   // file and line
	Outcome    string `json:"outcome"` // passed, failed, error or skipped
	DurationUS int64  `json:"duration_us"`
	// Detail is the expression that did not hold, with the values in it, or the
	// error.
	Detail string `json:"detail"`
	Output string `json:"output"` // what print wrote
}

// Coverage says which lines of rules no test reached.
type Coverage struct {
	Percent float64  `json:"percent"`
	Missing []string `json:"missing"` // file and lines, as in site/net/net.rego:7-9
}

// Test runs the Rego tests of the site at dir, which must pass every check
// first. The tests see the library, the fixture data.launch.fixture, and the
// site's configuration.
func Test(ctx context.Context, dir string, o TestOptions) (*TestReport, error) {
	files, err := readDirectory(dir, true)
	if err != nil {
		return nil, placed(dir, err)
	}
	s, err := assemble(files)
	if err != nil {
		return nil, err
	}
	e, err := build(Options{Path: dir}, embedded(), s)
	if err != nil {
		return nil, err
	}
	t := &testRun{site: s, engine: e, o: o}
	if err := t.prepare(); err != nil {
		return nil, err
	}
	return t.run(ctx)
}

type testRun struct {
	site    *site
	engine  *Engine
	o       TestOptions
	library []sources.File
	data    map[string]any
}

// prepare gathers what stands beside the tests.
func (t *testRun) prepare() error {
	files, err := sources.Files()
	if err != nil {
		return err
	}
	const fixture = "launch/fixture_test.rego"
	text, err := rego.Library.ReadFile(fixture)
	if err != nil {
		return err
	}
	t.library = append(sources.Rules(files), sources.File{Name: fixture, Text: text})
	whole, err := t.engine.settings.whole()
	if err != nil {
		return err
	}
	plain, err := ast.JSON(whole.root)
	if err != nil {
		return err
	}
	t.data = plain.(map[string]any)
	return nil
}

// testCapabilities add to those of rules what tests need, which is pure too.
func testCapabilities() *ast.Capabilities {
	caps := sources.Capabilities()
	for _, b := range ast.CapabilitiesForThisVersion().Builtins {
		if slices.Contains([]string{"json.patch", "print", "internal.print", "internal.test_case"}, b.Name) {
			caps.Builtins = append(caps.Builtins, b)
		}
	}
	return caps
}

func (t *testRun) run(ctx context.Context) (*TestReport, error) {
	results, err := t.results(ctx, func(r *tester.Runner) *tester.Runner { return r.EnableTracing(true) }, nil)
	if err != nil {
		return nil, err
	}
	out := &TestReport{Results: []TestResult{}}
	slices.SortFunc(results, func(a, b *tester.Result) int { return a.Location.Compare(b.Location) })
	for _, r := range results {
		out.add(r)
	}
	if len(results) == 0 {
		return nil, invalid(errors.New("no test was found; write rules whose names begin with test_ into site/<area>/<name>_test.rego"))
	}
	if !t.o.Coverage {
		return out, nil
	}
	tracer, own := cover.New(), map[string]*ast.Module{}
	if _, err = t.results(ctx, func(r *tester.Runner) *tester.Runner {
		return r.SetCoverageRuns(nil).SetCoverageQueryTracer(tracer)
	}, own); err != nil {
		return nil, err
	}
	out.Coverage = coverageOf(tracer.Report(own), own)
	return out, nil
}

// results runs every test once. The site's own modules are put into own.
func (t *testRun) results(ctx context.Context, with func(*tester.Runner) *tester.Runner, own map[string]*ast.Module) ([]*tester.Result, error) {
	modules, err := t.modules(own)
	if err == nil {
		err = addTypes(modules)
	}
	if err != nil {
		return nil, err
	}
	c, err := sources.NewCompiler(testCapabilities(), true)
	if err != nil {
		return nil, err
	}
	store := inmem.NewFromObjectWithOpts(t.data, inmem.OptRoundTripOnWrite(false))
	txn, err := store.NewTransaction(ctx, storage.WriteParams)
	if err != nil {
		return nil, err
	}
	defer store.Abort(ctx, txn)
	runner := with(tester.NewRunner().SetCompiler(c.WithEnablePrintStatements(true)).SetStore(store).SetModules(modules).
		CapturePrintOutput(true).RaiseBuiltinErrors(true).Filter(t.o.Run))
	ch, err := runner.RunTests(ctx, txn)
	if err != nil {
		return nil, invalid(err)
	}
	var results []*tester.Result
	for r := range ch {
		results = append(results, r)
	}
	return results, ctx.Err()
}

// modules parses anew each time, because compiling changes them.
func (t *testRun) modules(own map[string]*ast.Module) (map[string]*ast.Module, error) {
	caps, out := testCapabilities(), map[string]*ast.Module{}
	add := func(f sources.File) (*ast.Module, error) {
		m, err := sources.Parse(f, caps)
		if err != nil {
			return nil, invalid(err)
		}
		out[f.Name] = m
		return m, nil
	}
	for _, f := range t.library {
		if _, err := add(f); err != nil {
			return nil, err
		}
	}
	for _, f := range t.site.modules {
		m, err := add(sources.File{Name: f.name, Text: f.text})
		if err != nil {
			return nil, err
		}
		if own != nil {
			own[f.name] = m
		}
	}
	for _, f := range t.site.tests {
		m, err := add(sources.File{Name: f.name, Text: f.text})
		if err != nil {
			return nil, err
		}
		if p := m.Package.Path; len(p) != 3 || !p[1].Equal(ast.StringTerm("site")) {
			return nil, at(m.Package.Location, "a site's tests are in packages site.<area>_test, not %s; rename the package", strings.TrimPrefix(p.String(), "data."))
		}
	}
	return out, nil
}

func (r *TestReport) add(t *tester.Result) {
	out := TestResult{
		Name: strings.TrimPrefix(t.Package, "data.") + "." + t.Name, Place: fmt.Sprintf("%s:%d", t.Location.File, t.Location.Row),
		DurationUS: t.Duration.Microseconds(), Output: strings.TrimSpace(string(t.Output)),
	}
	switch {
	case t.Skip:
		out.Outcome = "skipped"
		r.Skipped++
	case t.Error != nil:
		out.Outcome, out.Detail = "error", t.Error.Error()
		if errors.Is(t.Error, context.DeadlineExceeded) || topdown.IsCancel(t.Error) {
			out.Detail = fmt.Sprintf("it did not end within %v", testTimeout)
		}
		r.Failed++
	case t.Fail:
		out.Outcome, out.Detail = "failed", failure(t)
		r.Failed++
	default:
		out.Outcome = "passed"
		r.Passed++
	}
	r.Results = append(r.Results, out)
}

// testTimeout is what one test may take; it is the tester's own.
const testTimeout = 5 * time.Second

// failure gives the last expression of the test's own file that did not hold,
// and below it the values in it.
func failure(t *tester.Result) string {
	for _, e := range slices.Backward(t.Trace) {
		if e.Op != topdown.FailOp || e.Location == nil || e.QueryID == 0 || e.Location.File != t.Location.File {
			continue
		}
		var out bytes.Buffer
		fmt.Fprintf(&out, "%s:%d\n", e.Location.File, e.Location.Row)
		if err := topdown.PrettyEvent(&out, e, topdown.PrettyEventOpts{PrettyVars: true}); err != nil {
			return err.Error()
		}
		return strings.TrimRight(out.String(), "\n")
	}
	return "no expression of the test was reached"
}

// coverageOf keeps what a report says of the site's own rules.
func coverageOf(r cover.Report, own map[string]*ast.Module) *Coverage {
	out := &Coverage{Missing: []string{}}
	covered, missing := 0, 0
	for _, name := range slices.Sorted(maps.Keys(own)) {
		f := r.Files[name]
		if f == nil {
			continue
		}
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
	out.Percent = 100
	if covered+missing > 0 {
		out.Percent = float64(10000*covered/(covered+missing)) / 100
	}
	return out
}
