package policy

import (
	"context"
	"encoding/json"
	"path"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/policy/internal/sources"
	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
)

// Each rule that denies begins with the doubt of its own code, and each doubt
// belongs to a code. That no doubt is missing where a rule would find something
// is proved by TestFormsDecideAlike and FuzzDoubts.
func TestEveryRuleHasItsDoubt(t *testing.T) {
	doubts, _ := everyDoubt()
	for c := range libraryCodes() {
		_, ok := doubts[string(c)]
		require.Equal(t, c != code.GrantMissing && c != code.WaiverExpired, ok, "%s", c)
		delete(doubts, string(c))
	}
	require.Empty(t, doubts, "no codes")
	files, err := sources.Files()
	require.NoError(t, err)
	c, err := sources.Compile(sources.Rules(files))
	require.NoError(t, err)
	n := 0
	for name, m := range c.Modules {
		for _, r := range m.Rules {
			if path.Dir(name) != "launch/rules" || r.Head.Name != "deny" {
				continue
			}
			n++
			var own string
			ast.WalkTerms(r.Body, func(t *ast.Term) bool {
				if o, ok := t.Value.(ast.Object); ok && o.Get(ast.StringTerm("code")) != nil {
					own = string(o.Get(ast.StringTerm("code")).Value.(ast.String))
				}
				return false
			})
			want := ast.Equality.Expr(ast.NewTerm(ast.MustParseRef("input.doubts."+own)), ast.InternedTerm(true))
			require.Zero(t, strings.Compare(want.String(), r.Body[0].String()), "%s: %s", r.Location, r.Body[0])
		}
	}
	require.Greater(t, n, 45)
}

func TestPlainLaunchHasNoDoubt(t *testing.T) {
	e, err := Load(context.Background(), Options{Deadline: patience})
	require.NoError(t, err)
	input, err := e.input(goodInput())
	require.NoError(t, err)
	require.Same(t, e.words.clear.doubts, input.Value.(ast.Object).Get(ast.StringTerm("doubts")))
	require.Same(t, e.words.clear.doubted, input.Value.(ast.Object).Get(ast.StringTerm("doubted")))
}

func FuzzDoubts(f *testing.F) {
	s := &site{}
	require.NoError(f, s.readData(source{"data.yaml", []byte(strictData)}))
	strict, err := build(Options{Deadline: patience}, embedded(), s)
	require.NoError(f, err)
	embedded, err := Load(context.Background(), Options{Deadline: patience})
	require.NoError(f, err)
	for _, v := range [][8]string{
		{"redis", "7.0.15", "7.0.0", "7.0.15", "", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a=b", "TZ"},
		{"re dis", "7.0.15-rc.1", "07.0.0", "", "x", "00-00000000000000000000000000000000-b7ad6b7169203331-01", "\x7f", "LD_PRELOAD"},
		{"", "9007199254740993.0.0", "9007199254740992.0.0", "7.0.15", "", "ff-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", "\n", "A"},
	} {
		f.Add(v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], uint8(3))
	}
	f.Fuzz(func(t *testing.T, name, version, minimum, listed, explicit, parent, state, variable string, bits uint8) {
		in := goodInput()
		in.Request.Service, in.Service.Name, in.Request.Version, in.Service.MinVersion = name, name, version, minimum
		in.Service.ExplicitInstance, in.Service.VersionAllowList = explicit, []string{listed}
		in.Service.Isolation = []string{"PRIVATE_BROKER", "SHARED_BROKER", "EXPLICIT_INSTANCE", state}[bits%4]
		in.Request.Instance = []string{"private:" + name, "shared", "explicit:" + explicit, parent}[bits/4%4]
		in.Request.Trace = admission.Trace{Traceparent: parent, Tracestate: state, RequestID: variable}
		in.EnvFacts.Foreign = []admission.EnvVar{{Name: variable, Origin: []string{admission.OriginDefinition, admission.OriginPass}[bits/16%2]}}
		in.Binary.Segments, in.Root.Segments = []string{name, version, minimum}, []string{name, listed}[:1+bits/32%2]
		for _, e := range []*Engine{embedded, strict} {
			every := *e
			every.plain = true
			want, wantErr := every.Decide(context.Background(), in)
			got, gotErr := e.Decide(context.Background(), in)
			require.Equal(t, wantErr == nil, gotErr == nil)
			got.DecisionID = want.DecisionID
			require.Equal(t, asText(t, want), asText(t, got))
		}
	})
}

func asText(t *testing.T, v any) string {
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}
