package policy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/spawnward/spawnward/policy/internal/sources"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/nearest"
)

// maxProblems bounds how many problems one error tells of.
const maxProblems = 8

// invalid is the error of a policy that does not load. Those of the parser and
// the compiler are given with file, line, and what to do.
func invalid(err error) error {
	list, ok := errors.AsType[ast.Errors](err)
	if !ok || len(list) == 0 {
		return &Error{C: code.PolicyInvalid, Err: err}
	}
	var b strings.Builder
	b.WriteString(problem(list[0]))
	for i, e := range list[1:] {
		if i+1 == maxProblems {
			fmt.Fprintf(&b, "\nand %d more", len(list)-maxProblems)
			break
		}
		fmt.Fprintf(&b, "\n%s: %s", place(e.Location), problem(e))
	}
	return &Error{C: code.PolicyInvalid, Where: place(list[0].Location), Err: errors.New(b.String())}
}

func place(l *ast.Location) string {
	if l == nil || l.File == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d", l.File, l.Row)
}

// problem is one error of the compiler, with the fix where one is known.
func problem(e *ast.Error) string {
	text := e.Code + ": " + e.Message
	switch d := e.Details.(type) {
	case *ast.RefErrInvalidDetail:
		have := ""
		if d.Pos < len(d.Ref) {
			s, _ := d.Ref[d.Pos].Value.(ast.String)
			have = string(s)
		}
		known := make([]string, 0, len(d.OneOf))
		for _, v := range d.OneOf {
			if s, ok := v.(ast.String); ok {
				known = append(known, string(s))
			}
		}
		text += nearest.Hint(have, known)
		if len(known) > 0 {
			text += "; there are " + strings.Join(known, ", ")
		}
	case nil:
	default:
		for _, line := range d.Lines() {
			text += "\n  " + line
		}
	}
	if name, ok := strings.CutPrefix(e.Message, "undefined function "); ok {
		return text + forbidden(name)
	}
	return text
}

// forbidden says why a function cannot be called, and what to do.
func forbidden(name string) string {
	if _, ok := ast.BuiltinMap[name]; ok {
		return "; rules may call pure functions only, and reach no network, clock, randomness or process: decide on what input holds (the time is input.now_ns)"
	}
	return nearest.Hint(name, sources.AllowedBuiltins())
}
