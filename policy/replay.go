package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/spawnward/spawnward/spawner/admission"
)

// ErrNotReplayable is wrapped by the error of [Engine.Replay] when the verdict
// depends on something that the log does not have.
var ErrNotReplayable = errors.New("not replayable")

// Replay decides a logged input again, at its own time. Values of variables are
// not in a log; a rule that looks at one makes the input not replayable, as does
// an input that another release of the launcher logged with other facts. The
// other errors are those of [Engine.Decide].
func (e *Engine) Replay(ctx context.Context, logged []byte) (admission.Decision, error) {
	in, err := readLogged(logged)
	if err != nil {
		return admission.Decision{}, err
	}
	in = withStands(in)
	touched := false
	if e.mayTouch() {
		_, t, err := e.traced(ctx, in)
		touched = t != nil && t.touched
		if err != nil && !touched {
			return admission.Decision{}, err
		}
	}
	if touched {
		return admission.Decision{}, fmt.Errorf("%w: a rule reads the value of an environment variable, and the log has none", ErrNotReplayable)
	}
	d, err := e.Decide(ctx, in)
	if err != nil {
		return admission.Decision{}, err
	}
	if shown, err := json.Marshal(d); err != nil || strings.Contains(string(shown), stand) {
		return admission.Decision{}, fmt.Errorf("%w: a finding has the value of an environment variable in it", ErrNotReplayable)
	}
	return d, nil
}

// readLogged reads an input and refuses one that lacks facts.
func readLogged(logged []byte) (*admission.Input, error) {
	var in admission.Input
	if err := json.Unmarshal(logged, &in); err != nil {
		return nil, fmt.Errorf("%w: its input cannot be read: %w", ErrNotReplayable, err)
	}
	again, err := json.Marshal(&in)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotReplayable, err)
	}
	var have, want any
	if err := errors.Join(json.Unmarshal(logged, &have), json.Unmarshal(again, &want)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotReplayable, err)
	}
	if missing := lacks("input", have, want); missing != "" {
		return nil, fmt.Errorf("%w: another release of the launcher logged it, without the fact %s", ErrNotReplayable, missing)
	}
	return &in, nil
}

// lacks names a member that want has and have has not. The values of variables
// are always left out.
func lacks(at string, have, want any) string {
	if have == nil && at != "input.service.launch.idle_timeout_secs" { // whose null is none
		return at
	}
	switch want := want.(type) {
	case map[string]any:
		object, ok := have.(map[string]any)
		if !ok {
			return at
		}
		for _, name := range sortedKeys(want) {
			inside, ok := object[name]
			if !ok && name != "value" {
				return at + "." + name
			}
			if found := lacks(at+"."+name, inside, want[name]); ok && found != "" {
				return found
			}
		}
	case []any:
		list, ok := have.([]any)
		if !ok || len(list) != len(want) {
			return at
		}
		for i := range want {
			if found := lacks(at, list[i], want[i]); found != "" {
				return found
			}
		}
	}
	return ""
}

// mayTouch reports whether some rule of the site mentions the environment, or
// reads the input in a way that may reach it. The library reads no values, which
// a test proves.
func (e *Engine) mayTouch() bool {
	env := []ast.Ref{ast.MustParseRef("input.env"), ast.MustParseRef("input.env_facts.foreign")}
	for _, m := range e.compiler().Modules {
		if len(m.Package.Path) < 2 || !m.Package.Path[1].Equal(ast.StringTerm("site")) {
			continue
		}
		found := false
		ast.WalkTerms(m, func(t *ast.Term) bool {
			r, ok := t.Value.(ast.Ref)
			if !ok {
				found = found || t.Equal(ast.InputRootDocument)
				return found
			}
			if r[0].Equal(ast.InputRootDocument) {
				ground := r.GroundPrefix()
				found = found || len(ground) == 1 || slices.ContainsFunc(env, func(p ast.Ref) bool { return ground.HasPrefix(p) || p.HasPrefix(ground) })
				// What stands in the brackets are references of their own.
				for _, part := range r[1:] {
					if inner, ok := part.Value.(ast.Ref); ok && inner[0].Equal(ast.InputRootDocument) {
						found = found || len(inner) < 3
					}
				}
				return true
			}
			return found
		})
		if found {
			return true
		}
	}
	return false
}
