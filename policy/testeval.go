package policy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// testTimeout is what one test may take.
const testTimeout = 5 * time.Second

// testEvaluation runs tests, one after the other.
type testEvaluation struct {
	compiler *ast.Compiler
	store    storage.Store
	seen     *coverage // nil keeps traces instead
}

// testOutcome is what one test came to.
type testOutcome struct {
	rule    *ast.Rule
	name    ast.Ref
	skipped bool
	held    bool
	err     error
	took    time.Duration
	trace   []*topdown.Event
	output  string // what print wrote
}

func (e *testEvaluation) run(ctx context.Context, r *ast.Rule) (*testOutcome, error) {
	ref, name := testName(r)
	out := &testOutcome{rule: r, name: ref}
	if strings.HasPrefix(name, skippedPrefix) {
		out.skipped = true
		return out, nil
	}
	txn, err := e.store.NewTransaction(ctx)
	if err != nil {
		return nil, err
	}
	defer e.store.Abort(ctx, txn)
	cancel := topdown.NewCancel()
	defer time.AfterFunc(testTimeout, cancel.Cancel).Stop()
	defer context.AfterFunc(ctx, cancel.Cancel)()

	var printed bytes.Buffer
	var faults []topdown.Error
	query := ast.NewBody(ast.Equality.Expr(ast.NewTerm(resultVar), ast.NewTerm(r.Module.Package.Path.Extend(ref))))
	q := topdown.NewQuery(query).WithCompiler(e.compiler).WithStore(e.store).WithTransaction(txn).WithCancel(cancel).
		WithPrintHook(topdown.NewPrintHook(&printed)).WithBuiltinErrorList(&faults)
	trace := topdown.NewBufferTracer()
	if e.seen != nil {
		q = q.WithQueryTracer(e.seen)
	} else {
		q = q.WithQueryTracer(trace)
	}
	begin := time.Now()
	results, err := q.Run(ast.WithCompiler(ctx, e.compiler))
	out.took, out.trace, out.output = time.Since(begin), *trace, printed.String()
	for _, f := range faults {
		err = errors.Join(err, fmt.Errorf("%w", &f))
	}
	if out.err = err; err == nil && len(results) > 0 {
		value := results[0][resultVar]
		out.held = value.Equal(ast.InternedTerm(true)) || r.Head.DocKind() == ast.PartialObjectDoc && allHold(value, casesOf(*trace))
	}
	return out, nil
}

// casesOf are the names that a table announced.
func casesOf(trace []*topdown.Event) []*ast.Array {
	var out []*ast.Array
	for _, event := range trace {
		if x, ok := event.Node.(*ast.Expr); ok && event.Op == topdown.TestCaseOp {
			if names, ok := x.Operand(0).Value.(*ast.Array); ok {
				out = append(out, names)
			}
		}
	}
	return out
}

// allHold reports whether each case of a table is true, and none that was
// announced is missing.
func allHold(result *ast.Term, cases []*ast.Array) bool {
	for _, names := range cases {
		value := result.Value
		for i := range names.Len() {
			o, ok := value.(ast.Object)
			if !ok {
				return false
			}
			next := o.Get(names.Elem(i))
			if next == nil {
				return false
			}
			value = next.Value
		}
	}
	return isTrue(result)
}

func isTrue(t *ast.Term) bool {
	switch v := t.Value.(type) {
	case ast.Boolean:
		return bool(v)
	case ast.Object:
		return !v.Until(func(_, value *ast.Term) bool { return !isTrue(value) })
	}
	return false
}
