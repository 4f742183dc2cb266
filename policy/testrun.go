package policy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
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
	files, err := ownDirectory(dir, true)
	if err != nil {
		return nil, err
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
	results, err := t.results(ctx, nil, nil)
	if err != nil {
		return nil, err
	}
	out := &TestReport{Results: []TestResult{}}
	for _, r := range results {
		out.add(r)
	}
	if len(results) == 0 {
		return nil, invalid(errors.New("no test was found; write rules whose names begin with test_ into site/<area>/<name>_test.rego"))
	}
	if !t.o.Coverage {
		return out, nil
	}
	seen, own := newCoverage(), map[string]*ast.Module{}
	if _, err = t.results(ctx, seen, own); err != nil {
		return nil, err
	}
	out.Coverage = seen.report(own)
	return out, nil
}

// results runs every test once, in the order of files and lines: watched by seen,
// or else with a trace. The site's own modules are put into own.
func (t *testRun) results(ctx context.Context, seen *coverage, own map[string]*ast.Module) ([]*testOutcome, error) {
	chosen, err := regexp.Compile(t.o.Run)
	if err != nil {
		return nil, invalid(err)
	}
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
	c.WithEnablePrintStatements(true).
		WithStageAfterID(ast.StageRewriteRuleHeadRefs, stage("NumberTests", numberTests)).
		WithStageAfterID(ast.StageRewriteLocalVars, stage("AnnounceCases", announceCases))
	if c.Compile(modules); c.Failed() {
		return nil, invalid(c.Errors)
	}
	var out []*testOutcome
	e := &testEvaluation{compiler: c, store: inmem.NewFromObjectWithOpts(t.data, inmem.OptRoundTripOnWrite(false)), seen: seen}
	for _, r := range testRules(c, chosen) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		one, err := e.run(ctx, r)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, ctx.Err()
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

func (r *TestReport) add(t *testOutcome) {
	at := t.rule.Loc()
	out := TestResult{
		Name: strings.TrimPrefix(t.rule.Module.Package.Path.String(), "data.") + "." + t.name.String(), Place: fmt.Sprintf("%s:%d", at.File, at.Row),
		DurationUS: t.took.Microseconds(), Output: strings.TrimSpace(t.output),
	}
	switch {
	case t.skipped:
		out.Outcome = "skipped"
		r.Skipped++
	case t.err != nil:
		out.Outcome, out.Detail = "error", t.err.Error()
		if topdown.IsCancel(t.err) {
			out.Detail = fmt.Sprintf("it did not end within %v", testTimeout)
		}
		r.Failed++
	case !t.held:
		out.Outcome, out.Detail = "failed", failure(t)
		r.Failed++
	default:
		out.Outcome = "passed"
		r.Passed++
	}
	r.Results = append(r.Results, out)
}

// failure gives the last expression of the test's own file that did not hold,
// and below it the values in it.
func failure(t *testOutcome) string {
	for _, e := range slices.Backward(t.trace) {
		if e.Op != topdown.FailOp || e.Location == nil || e.QueryID == 0 || e.Location.File != t.rule.Loc().File {
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
