package policy

import (
	"context"
	"encoding/json"
	"maps"
	"regexp"
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
	data, err := ast.JSON(e.data.root)
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

// unread are the facts without which a launch stays allowed, as patterns, each
// with the reason. All of them are for the rules of sites and for people; the
// launcher gives every one all the same, which TestDenseInput proves.
func unread() map[string]string {
	return map[string]string{
		`host\..*|launcher\.version|caller\.(user|parent\..*)`: "describes the machine and the caller; no rule of the library is about it",
		`service\.(labels\..*|launch\..*|mode|path|sha256)`:    "how the backend is started, and where its definition stands; the owner and the source are judged",
		`request\.args\[\]`:              "arguments are a site's to judge",
		`script\.(sha256|size|argument)`: "what an interpreter is given is a site's to judge; the script had a decision of its own",
		`binary\.(requested|detail|broad|device|inode|[cm]time_ns|gid|mode)`:                                "identity and detail for people; what is judged of them has facts of its own (writable_by_others, setuid, error)",
		`binary\.mount\.(fs_type|fs_magic|id|nosuid|readonly)`:                                              "local and noexec are judged",
		`binary\.interp\.(mode|sha256)`:                                                                     "its place, owner and who can write it are judged",
		`binary\.ancestors\[\]\..*`:                                                                         "judged by ancestor_owners and ancestors_writable; the rest is for messages",
		`binary\.ancestors_writable\[\]\.(path|uid|gid|mode|writable_by_others)`:                            "sticky and child_uid decide",
		`binary\.segments\[\]`:                                                                              "a component below the allow-root: those of the root are compared",
		`root\.(ancestors\[\]\..*|ancestors_writable|ancestor_owners\[\])`:                                  "every directory above the root is above the binary too, and judged there",
		`root\.(requested|detail|device|inode|[cm]time_ns|uid|gid|mode|size|links|sha256|format)`:           "a directory's own facts are judged among the binary's ancestors",
		`root\.(executable|writable_by_others|setuid|setgid|capabilities|inside_root|interp\..*|mount\..*)`: "facts of files, which a directory has only because both have one form",
		`env\[\]\..*|env_facts\.foreign\[\]\.value`:                                                         "names are judged in env_facts.foreign, sizes and forms in env_facts; values are a site's to judge",
		`caller\.groups\[\]|launcher\.(bindings|confinement)\[\]|service\.version_allow_list\[\]`:           "one entry less permits less: another entry admitted the launch",
	}
}

// reason gives the pattern that excuses a path.
func reason(path string) string {
	for pattern := range unread() {
		if regexp.MustCompile("^(?:" + pattern + ")$").MatchString(path) {
			return pattern
		}
	}
	return ""
}

func mutations(leaf any) map[string]any { return map[string]any{"null": nil, "retyped": retyped(leaf)} }

func TestDeletion(t *testing.T) {
	e, err := Load(context.Background(), Options{Deadline: patience})
	require.NoError(t, err)
	cases := regoCases(t)
	text, err := json.Marshal(goodInput())
	require.NoError(t, err)
	cases = append(cases, allowedCase{name: "goodInput", input: plainJSON(t, text)})
	require.Greater(t, len(cases), 20)
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
	needless := maps.Clone(unread())
	for i, c := range cases {
		if !allows(c.input) {
			continue // only under another configuration
		}
		leaves(c.input, func(path string, leaf any, put func(any, bool) func()) {
			if i < len(cases)-1 && reason(path) != "" {
				return
			}
			try := func(how string, v any, remove bool) {
				undo := put(v, remove)
				if undo == nil {
					return
				}
				defer undo()
				if !allows(c.input) {
					return
				}
				if pattern := reason(path); pattern != "" {
					delete(needless, pattern)
				} else {
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
	delete(needless, `binary\.ancestors_writable\[\]\.(path|uid|gid|mode|writable_by_others)`) // of a case of its own
	require.Empty(t, needless, "nothing needs these exceptions")
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
