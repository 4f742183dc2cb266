package policy

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// span is where something stands in a file: lines, and columns in them.
type span struct{ row, column, endRow, endColumn int }

func spanOf(at *ast.Location) span {
	row, column := at.End()
	return span{at.Row, at.Col, row, column}
}

func (s span) compare(o span) int {
	return cmp.Or(s.row-o.row, s.column-o.column, s.endRow-o.endRow, s.endColumn-o.endColumn)
}

// holds reports whether o stands inside s.
func (s span) holds(o span) bool {
	return cmp.Or(s.row-o.row, s.column-o.column) <= 0 && cmp.Or(s.endRow-o.endRow, s.endColumn-o.endColumn) >= 0
}

// coverage watches evaluations: it keeps, by file, the expressions that were
// evaluated and the heads of the rules that held.
type coverage struct{ reached map[string]map[span]bool }

func newCoverage() *coverage { return &coverage{map[string]map[span]bool{}} }

// Enabled, Config and TraceEvent make it a [topdown.QueryTracer].
func (c *coverage) Enabled() bool { return true }

// Config asks for no variables.
func (c *coverage) Config() topdown.TraceConfig { return topdown.TraceConfig{} }

// TraceEvent is called for each step of an evaluation.
func (c *coverage) TraceEvent(e topdown.Event) {
	var at *ast.Location
	switch node := e.Node.(type) {
	case *ast.Rule:
		if e.Op == topdown.ExitOp {
			at = node.Head.Location
		}
	case *ast.Expr:
		if e.Op == topdown.EvalOp {
			at = node.Location
		}
	}
	if !at.HasFile() {
		return
	}
	if c.reached[at.File] == nil {
		c.reached[at.File] = map[span]bool{}
	}
	c.reached[at.File][spanOf(at)] = true
}

// report says which lines of modules were not reached.
func (c *coverage) report(modules map[string]*ast.Module) *Coverage {
	out := &Coverage{Missing: []string{}, Percent: 100}
	covered, missing := 0, 0
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		left := c.missing(modules[name])
		covered += rows(maps.Keys(c.reached[name]))
		missing += rows(slices.Values(left))
		for _, s := range left {
			place := fmt.Sprintf("%s:%d", name, s.row)
			if s.endRow != s.row {
				place += fmt.Sprintf("-%d", s.endRow)
			}
			out.Missing = append(out.Missing, place)
		}
	}
	out.Missing = slices.Compact(out.Missing)
	if covered+missing > 0 {
		out.Percent = float64(10000*covered/(covered+missing)) / 100
	}
	return out
}

// missing are the heads and expressions that are in nothing that was reached.
func (c *coverage) missing(m *ast.Module) []span {
	left := map[span]bool{}
	look := func(at *ast.Location) {
		if !at.HasFile() {
			return
		}
		s := spanOf(at)
		for reached := range c.reached[at.File] {
			if reached.holds(s) {
				return
			}
		}
		left[s] = true
	}
	ast.WalkRules(m, func(r *ast.Rule) bool {
		look(r.Head.Location)
		return false
	})
	ast.WalkExprs(m, func(e *ast.Expr) bool {
		if _, declares := e.Terms.(*ast.SomeDecl); !declares {
			look(e.Location)
		}
		return false
	})
	return slices.SortedFunc(maps.Keys(left), span.compare)
}

// rows counts the lines of spans.
func rows(spans iter.Seq[span]) int {
	lines := map[int]bool{}
	for s := range spans {
		for row := s.row; row <= s.endRow; row++ {
			lines[row] = true
		}
	}
	return len(lines)
}
