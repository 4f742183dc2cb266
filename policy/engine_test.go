package policy

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/policy/internal/compiled"
	"github.com/spawnward/spawnward/policy/internal/sources"
	"github.com/spawnward/spawnward/rego"
	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
)

// freshly compiles the library from its texts, changed or left out where change
// says so.
func freshly(t testing.TB, change func(name, text string) string, more ...sources.File) (library, error) {
	t.Helper()
	files, err := sources.Files()
	require.NoError(t, err)
	kept := []sources.File{}
	for _, f := range append(sources.Rules(files), more...) {
		if text := change(f.Name, string(f.Text)); text != "" {
			kept = append(kept, sources.File{Name: f.Name, Text: []byte(text)})
		}
	}
	c, err := sources.Compile(kept)
	if err != nil {
		return library{}, err
	}
	return library{sources.Digest(kept), func() map[string]*ast.Module { return c.Modules }, compiled.Defaults(), nil}, nil
}

// embeddedWith builds the library with changed or removed modules, as nobody
// can from outside, to see what the host makes of it.
func embeddedWith(t *testing.T, change func(name, text string) string) (*Engine, error) {
	t.Helper()
	l, err := freshly(t, change)
	if err != nil {
		return nil, err
	}
	return build(Options{}, l, &site{})
}

func decideWith(t *testing.T, change func(name, text string) string, alter func(*admission.Input)) (admission.Decision, error) {
	t.Helper()
	e, err := embeddedWith(t, change)
	if err != nil {
		return admission.Decision{}, err
	}
	in := goodInput()
	if alter != nil {
		alter(in)
	}
	return e.Decide(context.Background(), in)
}

func TestEmbeddedAllows(t *testing.T) {
	e, err := Load(context.Background(), Options{Deadline: patience})
	require.NoError(t, err)
	d, err := e.Decide(context.Background(), goodInput())
	require.NoError(t, err)
	require.True(t, d.Allow, "%+v", d)
	require.Equal(t, e.ID(), d.Policy)
	require.Equal(t, "enforce", e.Settings("redis").Mode)
	again, err := e.Decide(context.Background(), goodInput())
	require.NoError(t, err)
	require.NotEqual(t, d.DecisionID, again.DecisionID)
}

// Findings stand in the order that callers are promised: placement first, then
// the library's by their place in the table, a site's, and expired waivers.
func TestFindingsAreInOrder(t *testing.T) {
	e, err := loadSite(t, files{
		"data.yaml": "config: {defaults: {enforcement: {binary_setuid: warn}}}\nwaivers: {W: {code: binary_hard_links, service: redis, expires: 2020-01-01T00:00:00Z, approver: a, reason: r}}\n",
		"site/a/a.rego": `package site.a

import rego.v2

# METADATA
# custom: {code: site_b}
deny contains {"code": "site_b", "message": text} if some text in ["2", "1"]

# METADATA
# custom: {code: site_a}
deny contains {"code": "site_a", "message": "m"}

# METADATA
# custom: {code: site_w}
warn contains {"code": "site_w", "message": "m"}
`,
	})
	require.NoError(t, err)
	in := goodInput()
	in.Service.BinaryPath, in.Binary = "", admission.File{Error: "binary_path_empty", Setuid: true, Kind: "regular", Links: 2}
	in.Service.Root, in.Root = "", admission.File{Error: "allow_root_empty"}
	in.Request.Version = "7"
	d, err := e.Decide(context.Background(), in)
	require.NoError(t, err)
	got := codesOf(d.Violations)
	require.Equal(t, []code.Code{code.BinaryPathEmpty, code.AllowRootEmpty, code.VersionInvalid}, got[:3])
	require.Equal(t, []code.Code{code.BinaryHardLinks, "site_a", "site_b", "site_b"}, got[len(got)-4:])
	require.Equal(t, "1", d.Violations[len(got)-2].Message)
	require.Equal(t, []code.Code{code.BinarySetuid, "site_w", code.WaiverExpired}, codesOf(d.Warnings))
	require.Equal(t, "Ask the security team that owns the rule.", d.Violations[len(got)-1].Remediation)
	require.Equal(t, "site.a", d.Violations[len(got)-1].Rule)
	require.Equal(t, "launch.rules.file", d.Warnings[0].Rule)
}

func TestNothingKnownNothingAllowed(t *testing.T) {
	e, err := Load(context.Background(), Options{Deadline: patience})
	require.NoError(t, err)
	d, err := e.Decide(context.Background(), &admission.Input{})
	require.NoError(t, err)
	require.False(t, d.Allow)
	require.Equal(t, []code.Code{code.BinaryPathEmpty, code.AllowRootEmpty}, codesOf(d.Violations)[:2])
	_, err = e.Decide(context.Background(), nil)
	require.Error(t, err)
	in := goodInput()
	in.Binary.Path = "/opt/\xff"
	_, err = e.Decide(context.Background(), in)
	require.ErrorContains(t, err, "UTF-8")
}

// Without any one of the library's modules nothing is allowed that it is asked
// about.
func TestRemovedModuleDenies(t *testing.T) {
	files, err := sources.Files()
	require.NoError(t, err)
	for _, m := range sources.Rules(files) {
		e, err := embeddedWith(t, func(name, text string) string {
			if name == m.Name {
				return ""
			}
			return text
		})
		if err == nil {
			e.plain = true
			in := goodInput()
			in.Binary.UID = in.Caller.UID
			var d admission.Decision
			d, err = e.Decide(context.Background(), in)
			require.False(t, d.Allow, m.Name)
		}
		if strings.HasPrefix(m.Name, "launch/rules/") {
			require.Error(t, err, m.Name)
		}
	}
}

// Without its deny rules, a subject that gives a grant withholds it where the
// rules would have denied.
func TestRemovedRulesDeny(t *testing.T) {
	for name, alter := range map[string]func(*admission.Input){
		"launch/rules/placement.rego": func(in *admission.Input) { in.Binary.InsideRoot = false },
		"launch/rules/version.rego":   func(in *admission.Input) { in.Service.VersionAllowList = []string{"1.0.0"} },
		"launch/rules/file.rego":      func(in *admission.Input) { in.Binary.UID = 55 },
	} {
		d, err := decideWith(t, func(n, text string) string {
			if n != name {
				return text
			}
			return strings.ReplaceAll(text, "deny contains finding if {", "deny contains finding if {\n\tinput.schema == 2")
		}, alter)
		require.NoError(t, err, name)
		require.False(t, d.Allow, name)
		require.Equal(t, []code.Code{code.GrantMissing}, codesOf(d.Violations), name)
	}
}

// noConfine asks for nothing.
const noConfine = `{"no_new_privs": false, "umask": "", "nice": null, "oom_score_adj": null, "cgroup": "", "drop_caps": [], "limits": {}, "landlock": null}`

func obligations(confine string) string {
	return `{"binding": "verified", "confine": ` + confine + `, "hooks": []}`
}

func TestImpossibleDecisionsAreErrors(t *testing.T) {
	main := func(decision string) func(name, text string) string {
		return func(name, text string) string {
			if name == "launch/main.rego" {
				return "package launch.main\n\n" + decision
			}
			return text
		}
	}
	good := map[string]string{
		"schema": "1", "allow": "true", "mode": `"enforce"`, "violations": "set()", "warnings": "set()", "waived": "[]",
		"grants": `{"placement", "version", "ownership"}`, "obligations": obligations(noConfine),
	}
	document := func(changes map[string]string) string {
		members := []string{}
		for _, k := range sortedKeys(good) {
			v, changed := changes[k]
			if !changed {
				v = good[k]
			}
			if v != "-" {
				members = append(members, `"`+k+`": `+v)
			}
		}
		for k, v := range changes {
			if _, known := good[k]; !known {
				members = append(members, `"`+k+`": `+v)
			}
		}
		return "decision := {" + strings.Join(members, ", ") + "}"
	}
	finding := `{{"code": "binary_hard_links", "message": "m", "evidence": {}}}`
	d, err := decideWith(t, main(document(nil)), nil)
	require.NoError(t, err)
	require.True(t, d.Allow)
	for name, c := range map[string]struct {
		decision string
		want     code.Code
	}{
		"undefined":                 {"decision := 1 if input.schema == 2", code.PolicyUndefined},
		"entry point missing":       {"other := 1", code.PolicyUndefined},
		"a set of decisions":        {"decision contains {\"allow\": true}", code.PolicyFailed},
		"a boolean":                 {"decision := true", code.PolicyFailed},
		"conflict":                  {"decision := 1 if input.schema == 1\ndecision := 2 if input.now_ns > 0", code.PolicyConflict},
		"built-in error":            {"decision := to_number(input.request.service)", code.PolicyFailed},
		"unknown member":            {document(map[string]string{"extra": "1"}), code.PolicyFailed},
		"missing member":            {document(map[string]string{"warnings": "-"}), code.PolicyFailed},
		"allow no boolean":          {document(map[string]string{"allow": `"true"`}), code.PolicyFailed},
		"allow null":                {document(map[string]string{"allow": "null"}), code.PolicyFailed},
		"schema unknown":            {document(map[string]string{"schema": "2"}), code.PolicyFailed},
		"mode unknown":              {document(map[string]string{"mode": `"off"`}), code.PolicyFailed},
		"monitor not asked for":     {document(map[string]string{"mode": `"monitor"`}), code.PolicyFailed},
		"allow beside a violation":  {document(map[string]string{"violations": finding}), code.PolicyFailed},
		"denial without a reason":   {document(map[string]string{"allow": "false"}), code.PolicyFailed},
		"grant missing":             {document(map[string]string{"grants": `{"placement", "version"}`}), code.PolicyFailed},
		"weaker binding":            {document(map[string]string{"obligations": strings.Replace(obligations(noConfine), "verified", "none", 1)}), code.PolicyFailed},
		"unknown obligation":        {document(map[string]string{"obligations": obligations(strings.Replace(noConfine, "}, ", "}, \"x\": 1, ", 1))}), code.PolicyFailed},
		"obligation missing":        {document(map[string]string{"obligations": obligations(`{"no_new_privs": false}`)}), code.PolicyFailed},
		"other confinement":         {document(map[string]string{"obligations": obligations(strings.Replace(noConfine, "null", "3", 1))}), code.PolicyFailed},
		"confinement of no value":   {document(map[string]string{"obligations": obligations(strings.Replace(noConfine, "{}", `{"nofile": {"soft": -1, "hard": 2}}`, 1))}), code.PolicyFailed},
		"warning nobody configured": {document(map[string]string{"warnings": finding}), code.PolicyFailed},
		"mandatory as a warning":    {document(map[string]string{"warnings": strings.Replace(finding, "binary_hard_links", "digest_denied", 1)}), code.PolicyFailed},
		"level of its own":          {document(map[string]string{"allow": "false", "violations": strings.Replace(finding, `"m"`, `"m", "enforcement": "standard"`, 1)}), code.PolicyFailed},
		"findings as a list":        {document(map[string]string{"allow": "false", "violations": "[" + finding[1:len(finding)-1] + "]"}), code.PolicyFailed},
		"rule of another":           {document(map[string]string{"allow": "false", "violations": strings.Replace(finding, `"m"`, `"m", "rule": "site.net"`, 1)}), code.PolicyFailed},
		"finding without message":   {document(map[string]string{"allow": "false", "violations": strings.Replace(finding, `"message": "m", `, "", 1)}), code.PolicyFailed},
		"code of nobody":            {document(map[string]string{"allow": "false", "violations": strings.Replace(finding, "binary_hard_links", "binary_hard_link", 1)}), code.PolicyFailed},
		"waiver of nobody":          {document(map[string]string{"waived": `[{"code": "binary_hard_links", "waiver": "W", "expires": "2099-01-01T00:00:00Z"}]`}), code.PolicyFailed},
		"hooks of nobody":           {document(map[string]string{"obligations": `{"binding": "pinned", "confine": {"no_new_privs": false}, "hooks": ["h"]}`}), code.PolicyFailed},
		"evidence no object":        {document(map[string]string{"allow": "false", "violations": strings.Replace(finding, "{}", "[]", 1)}), code.PolicyFailed},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := decideWith(t, main(c.decision), nil)
			got, _ := code.Of(err)
			require.Equal(t, c.want, got, "%v", err)
			require.Equal(t, admission.Decision{}, d)
		})
	}
}

func TestHooksAreCheckedAgain(t *testing.T) {
	e, err := loadSite(t, files{"data.yaml": "config: {services: {redis: {hooks: {allow: {region: {sha256: " + digestOfA + ", may_touch: [\"A*\"]}}}}}}\n"})
	require.NoError(t, err)
	eff := e.config.of("redis")
	good := admission.HookRun{Name: "region", SHA256: digestOfA, Pinned: digestOfA, Ran: true}
	d := &admission.Decision{Allow: true, Obligations: admission.Obligations{Hooks: []string{"region"}}}
	in := goodInput()
	in.Hooks = []admission.HookRun{good}
	require.NoError(t, verifyHooks(d, in, eff))
	for name, wrong := range map[string]func(*admission.HookRun){
		"name":   func(h *admission.HookRun) { h.Name = "other" },
		"digest": func(h *admission.HookRun) { h.SHA256 = strings.Repeat("b", 64) },
		"unread": func(h *admission.HookRun) { h.SHA256 = "" },
		"failed": func(h *admission.HookRun) { h.Error = "hook_failed" },
	} {
		in.Hooks = []admission.HookRun{good}
		wrong(&in.Hooks[0])
		require.ErrorContains(t, verifyHooks(d, in, eff), "may not run", name)
	}
	in.Hooks = []admission.HookRun{good, good}
	require.ErrorContains(t, verifyHooks(d, in, eff), "obligations")
	in.Hooks = []admission.HookRun{}
	require.ErrorContains(t, verifyHooks(d, in, eff), "obligations")
}

func TestWaivedIsCheckedAgain(t *testing.T) {
	e, err := loadSite(t, files{"data.yaml": `waivers:
  live: {code: binary_hard_links, service: redis, expires: 2099-01-01T00:00:00Z, approver: a, reason: r}
  dead: {code: binary_hard_links, service: redis, expires: 2020-01-01T00:00:00Z, approver: a, reason: r}
  other: {code: binary_hard_links, service: valkey, expires: 2099-01-01T00:00:00Z, approver: a, reason: r}
`})
	require.NoError(t, err)
	in := goodInput()
	require.NoError(t, e.verifyWaived(admission.Waived{Code: code.BinaryHardLinks, Waiver: "live", Expires: "2099-01-01T00:00:00Z"}, in))
	require.Error(t, e.verifyWaived(admission.Waived{Code: code.BinarySetuid, Waiver: "live"}, in))
	require.Error(t, e.verifyWaived(admission.Waived{Code: code.BinaryHardLinks, Waiver: "dead"}, in))
	require.Error(t, e.verifyWaived(admission.Waived{Code: code.BinaryHardLinks, Waiver: "other"}, in))
	e.waivers["forced"] = waiver{code: code.DigestDenied, service: "redis", expires: e.waivers["live"].expires}
	require.Error(t, e.verifyWaived(admission.Waived{Code: code.DigestDenied, Waiver: "forced"}, in))
}

func TestInputIsTheStructsJSON(t *testing.T) {
	none := goodInput()
	none.Service.Launch.IdleTimeoutSecs = nil
	full := goodInput()
	full.Hooks = []admission.HookRun{{Name: "h", SHA256: "s", Pinned: "p", Ran: true, Error: "e", Detail: "d", Set: []string{"A"}, Unset: []string{"B"}}}
	full.Files = []admission.OutputFile{{Name: "n", SHA256: "s", TemplateSHA256: "t", Size: 1 << 40}}
	full.Binary.AncestorsWritable = []admission.Ancestor{{Path: "/tmp", Sticky: true, ChildUID: 7, GID: 3, Mode: 0o1777, WritableByOthers: true}}
	full.Caller.Parent = admission.Parent{PID: 1, Exe: "/sbin/init", SHA256: "x"}
	full.Binary.Setuid, full.Binary.Setgid, full.Binary.Capabilities = true, true, true
	words := newVocabulary()
	for _, in := range []*admission.Input{none, full} {
		text, err := json.Marshal(in)
		require.NoError(t, err)
		want, err := ast.ValueFromReader(strings.NewReader(string(text)))
		require.NoError(t, err)
		got, err := buildInput(words, in, nil)
		require.NoError(t, err)
		want.(ast.Object).Insert(ast.StringTerm("doubts"), words.clear.doubts)
		want.(ast.Object).Insert(ast.StringTerm("doubted"), words.clear.doubted)
		require.Zero(t, want.Compare(got.Value), "%s\n%s", want, got)
		matchSchema(t, "input.json", text)
	}
}

func TestDecisionsMatchTheirSchema(t *testing.T) {
	e, err := Load(context.Background(), Options{Deadline: patience})
	require.NoError(t, err)
	for _, alter := range []func(*admission.Input){
		func(*admission.Input) {},
		func(in *admission.Input) { in.Binary.InsideRoot, in.Binary.Links = false, 3 },
	} {
		in := goodInput()
		alter(in)
		d, err := e.Decide(context.Background(), in)
		require.NoError(t, err)
		text, err := json.Marshal(d)
		require.NoError(t, err)
		matchSchema(t, "decision.json", text)
	}
	text, err := ast.JSON(wholeOf(t, e).root.Get(ast.StringTerm("config")).Value)
	require.NoError(t, err)
	config, err := json.Marshal(text)
	require.NoError(t, err)
	matchSchema(t, "effective.json", config)
	embedded, err := rego.Library.ReadFile("launch/data.json")
	require.NoError(t, err)
	matchSchema(t, "config.json", embedded)
}

// matchSchema holds a document against a schema with OPA's own json.match_schema.
func matchSchema(t *testing.T, name string, document []byte) {
	t.Helper()
	schema, err := rego.Schemas.ReadFile("schema/" + name)
	require.NoError(t, err)
	body := ast.MustParseBody("json.match_schema(input.document, input.schema, result)")
	input := ast.ObjectTerm(ast.Item(ast.StringTerm("document"), ast.StringTerm(string(document))), ast.Item(ast.StringTerm("schema"), ast.StringTerm(string(schema))))
	compiled, err := ast.NewCompiler().QueryCompiler().Compile(body)
	require.NoError(t, err)
	n := 0
	err = topdown.NewQuery(compiled).WithCompiler(ast.NewCompiler()).WithInput(input).WithStrictBuiltinErrors(true).
		Iter(context.Background(), func(r topdown.QueryResult) error {
			n++
			pair := r["result"].Value.(*ast.Array)
			require.Equal(t, "true", pair.Elem(0).String(), "%s: %s", name, pair.Elem(1))
			return nil
		})
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

func TestOrderIsPlacementFirstAndStable(t *testing.T) {
	e, err := Load(context.Background(), Options{Deadline: patience})
	require.NoError(t, err)
	in := goodInput()
	in.Request.Version, in.Service.Name = "x", "y"
	in.Binary.InsideRoot, in.Binary.Links, in.Binary.Setuid = false, 2, true
	want := []code.Code{code.BinaryOutsideAllowRoot, code.ServiceNameInvalid, code.VersionInvalid, code.BinarySetuid, code.BinaryHardLinks}
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 20 {
				d, err := e.Decide(context.Background(), in)
				if err != nil || len(d.Violations) != len(want) {
					t.Errorf("%v %v", err, codesOf(d.Violations))
					return
				}
				for i, c := range codesOf(d.Violations) {
					if c != want[i] {
						t.Errorf("%v", codesOf(d.Violations))
					}
				}
			}
		})
	}
	wait.Wait()
}

func TestCapabilitiesAreKnown(t *testing.T) {
	have := map[string]bool{}
	for _, b := range ast.CapabilitiesForThisVersion().Builtins {
		have[b.Name] = true
		if b.Nondeterministic {
			require.NotContains(t, sources.AllowedBuiltins(), b.Name)
		}
	}
	for _, name := range sources.AllowedBuiltins() {
		require.True(t, have[name], "%s is no built-in function", name)
	}
	require.NotNil(t, sources.Capabilities().AllowNet)
	require.Empty(t, sources.Capabilities().AllowNet)
}

func FuzzSiteData(f *testing.F) {
	for _, seed := range []string{
		"config: {mode: monitor}\n", "waivers: {W: {code: binary_hard_links, service: redis, expires: 2099-01-01T00:00:00Z, approver: a, reason: r}}\n",
		`{"catalog": {"` + strings.Repeat("a", 64) + `": {"service": "redis", "version": "1.0.0"}}}`, "config: &a {}\nwaivers: *a\n", "", "-", "config: 1",
		"config: {services: {redis: {env: {deny: [\"A*B\"]}, digests: {deny: {}}}}}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, name := range []string{"data.yaml", "data.json"} {
			s := &site{}
			if s.readData(source{name, text}) != nil {
				continue
			}
			e := &Engine{codes: libraryCodes()}
			if e.configure(Options{}, compiled.Defaults(), s) != nil {
				continue
			}
			for _, service := range []string{"redis", "other"} {
				require.Positive(t, e.Settings(service).MaxBinaryBytes)
				require.Positive(t, e.config.of(service).binding.Rank())
			}
			deny := e.config.defaults.rules["env"].(document)["deny"].(document)
			require.Contains(t, deny["prefixes"], "LD_")
			effective, err := ast.JSON(wholeOf(t, e).root.Get(ast.StringTerm("config")).Value)
			require.NoError(t, err)
			plain, err := json.Marshal(effective)
			require.NoError(t, err)
			n, err := parseJSON(plain)
			require.NoError(t, err)
			schema, err := loadSchema("effective.json")
			require.NoError(t, err)
			require.NoError(t, schema.check("config", n))
		}
	})
}

// A builder that leaves a fact out, or puts it in another's place, builds no
// input.
func TestInputIsBuiltWhole(t *testing.T) {
	v := newVocabulary()
	for name, facts := range map[string][]fact{
		"none":       {},
		"one less":   {{"traceparent", ast.StringTerm("")}, {"tracestate", ast.StringTerm("")}},
		"another":    {{"traceparent", ast.StringTerm("")}, {"request_id", ast.StringTerm("")}, {"tracestate", ast.StringTerm("")}},
		"one more":   {{"traceparent", ast.StringTerm("")}, {"tracestate", ast.StringTerm("")}, {"request_id", ast.StringTerm("")}, {"x", ast.StringTerm("")}},
		"misspelled": {{"traceparents", ast.StringTerm("")}, {"tracestate", ast.StringTerm("")}, {"request_id", ast.StringTerm("")}},
	} {
		b := &inputBuilder{vocabulary: v}
		b.object(v.forms.trace, facts...)
		require.NotEmpty(t, b.bad, name)
	}
}
