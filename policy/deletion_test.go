package policy

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/admission"
)

// allowedCase is a launch that some test allows, with the data it was judged by.
type allowedCase struct {
	name  string
	input any
}

// regoCases are all launches that the Rego tests judge through the fixture and
// that are allowed.
func regoCases(t *testing.T) []allowedCase {
	t.Helper()
	e, err := Load(context.Background(), Options{Deadline: patience})
	require.NoError(t, err)
	data, err := ast.JSON(wholeOf(t, e).root)
	require.NoError(t, err)
	store := inmem.NewFromObject(data.(map[string]any))
	txn, err := store.NewTransaction(context.Background(), storage.WriteParams)
	require.NoError(t, err)
	defer store.Abort(context.Background(), txn)
	results, err := tester.NewRunner().SetStore(store).SetModules(libraryModules(t)).EnableTracing(true).RunTests(context.Background(), txn)
	require.NoError(t, err)
	out, seen := []allowedCase{}, map[string]bool{}
	for r := range results {
		for _, ev := range r.Trace {
			rule, ok := ev.Node.(*ast.Rule)
			if !ok || ev.Op != topdown.ExitOp || rule.Ref().String() != "data.launch.main.decision" || ev.Input() == nil {
				continue
			}
			document, ok := value(ev.Locals, rule.Head.Value).(ast.Object)
			if !ok || document.Get(ast.StringTerm("allow")) == nil || document.Get(ast.StringTerm("allow")).Value.Compare(ast.Boolean(true)) != 0 {
				continue
			}
			if key := ev.Input().String(); !seen[key] {
				seen[key] = true
				in, err := ast.JSON(ev.Input().Value)
				require.NoError(t, err)
				out = append(out, allowedCase{r.Name, in})
			}
		}
	}
	return out
}

// leaves calls each with every leaf and a function that puts another value, or
// with remove nothing, in its place.
func leaves(root any, each func(path string, leaf any, put func(v any, remove bool) (undo func()))) {
	var visit func(at string, v any, put func(any, bool) func())
	visit = func(at string, v any, put func(any, bool) func()) {
		switch v := v.(type) {
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				old := v[k]
				visit(strings.TrimPrefix(at+"."+k, "."), old, func(n any, remove bool) func() {
					v[k] = n
					if remove {
						delete(v, k)
					}
					return func() { v[k] = old }
				})
			}
			if len(v) == 0 {
				each(at, v, put)
			}
		case []any:
			for i, old := range v {
				visit(at+"[]", old, func(n any, remove bool) func() {
					if remove {
						return nil // a list with one entry less is another list, not one that lacks a fact
					}
					v[i] = n
					return func() { v[i] = old }
				})
			}
			if len(v) == 0 {
				each(at, v, put)
			}
		default:
			each(at, v, put)
		}
	}
	visit("", root, func(any, bool) func() { return nil })
}

// retyped is a value of another type.
func retyped(leaf any) any {
	switch leaf.(type) {
	case string:
		return json.Number("7")
	case bool, nil:
		return "true"
	case json.Number:
		return "x"
	}
	return "x" // a list or an object
}

func mutations(leaf any) map[string]any { return map[string]any{"null": nil, "retyped": retyped(leaf)} }

// No launch is allowed when a fact is not there, is null or is of another type.
func TestDeletion(t *testing.T) {
	e, err := Load(context.Background(), Options{Deadline: patience})
	require.NoError(t, err)
	cases := regoCases(t)
	text, err := json.Marshal(goodInput())
	require.NoError(t, err)
	good := plainJSON(t, text).(map[string]any)
	good["doubts"], good["doubted"] = everyDoubt()
	cases = append(cases, allowedCase{name: "goodInput", input: good})
	require.Greater(t, len(cases), 20)
	tried := 0
	stays := map[string]bool{}
	n := 0
	allows := func(doc any) bool {
		n++
		v, err := ast.InterfaceToValue(doc)
		require.NoError(t, err)
		got, err := e.evaluate(context.Background(), ast.NewTerm(v))
		if err != nil {
			return false
		}
		d, err := decodeDecision(got)
		return err == nil && d.Allow
	}
	for _, c := range cases {
		if !allows(c.input) {
			continue // only under another configuration
		}
		tried++
		leaves(c.input, func(path string, leaf any, put func(any, bool) func()) {
			try := func(how string, v any, remove bool) {
				undo := put(v, remove)
				if undo == nil {
					return
				}
				defer undo()
				labels := strings.HasPrefix(path, "service.labels.") && how == "deleted"
				idle := path == "service.launch.idle_timeout_secs" && how == "null"
				if !labels && !idle && allows(c.input) {
					stays[path+" "+how] = true
				}
			}
			try("deleted", nil, true)
			for how, v := range mutations(leaf) {
				try(how, v, false)
			}
		})
	}
	require.Empty(t, slices.Sorted(maps.Keys(stays)), "%d evaluations", n)
	require.Greater(t, tried, 20)
}

func everyDoubt() (doubts, doubted map[string]any) {
	doubts, doubted = map[string]any{}, map[string]any{}
	for _, s := range blank().subjects() {
		doubted[s.name] = true
		for _, d := range s.doubts {
			doubts[string(d.code)] = true
		}
	}
	return doubts, doubted
}

func plainJSON(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	dec := json.NewDecoder(strings.NewReader(string(text)))
	dec.UseNumber()
	require.NoError(t, dec.Decode(&v))
	return v
}

// Where an input is read from outside, as in a replay, none that lacks a fact or
// has one of another type is taken; and what the launcher gives is built from a
// struct, with every fact in it.
func TestDenseInput(t *testing.T) {
	e, err := Load(context.Background(), Options{Deadline: patience})
	require.NoError(t, err)
	text := logged(t, func(in *admission.Input) {
		in.Hooks = []admission.HookRun{{Name: "h", Set: []string{"A"}, Unset: []string{"B"}}}
		in.Files = []admission.OutputFile{{Name: "f"}}
	})
	input := plainJSON(t, text)
	_, err = readLogged(text)
	require.NoError(t, err)
	n := 0
	leaves(input, func(path string, leaf any, put func(any, bool) func()) {
		try := func(how string, v any, remove bool) {
			undo := put(v, remove)
			if undo == nil {
				return
			}
			defer undo()
			changed, err := json.Marshal(input)
			require.NoError(t, err)
			_, err = readLogged(changed)
			switch {
			case path == "service.launch.idle_timeout_secs" && how == "null":
				require.NoError(t, err, "null is none")
			case strings.HasPrefix(path, "service.labels.") && how == "deleted":
				require.NoError(t, err, "labels are the definition's")
			default:
				require.ErrorIs(t, err, ErrNotReplayable, "%s %s", path, how)
			}
			n++
		}
		try("deleted", nil, true)
		for how, v := range mutations(leaf) {
			try(how, v, false)
		}
	})
	require.Greater(t, n, 400)
	// The zero of every fact, which is what the struct gives when one is forgotten.
	var zero admission.Input
	d, err := e.Decide(context.Background(), &zero)
	require.NoError(t, err)
	require.False(t, d.Allow)
}
