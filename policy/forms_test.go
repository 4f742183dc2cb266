package policy

import (
	"context"
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"

	"github.com/spawnward/spawnward/policy/internal/compiled"
	"github.com/spawnward/spawnward/policy/internal/sources"
	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
)

// The library must decide alike in every form that it has: compiled from its
// texts or generated, with indexing and early exit on or off, messages and
// evidence included. The cases are a launch that is allowed with each of its
// facts changed, under the embedded configuration, and beside other faults
// under strict ones.
func TestFormsDecideAlike(t *testing.T) {
	asText := func(_, text string) string { return text }
	found := map[code.Code]bool{}
	for _, c := range []struct {
		data  string
		rules string // of a site
		wrong func(*admission.Input)
	}{
		{"", "", func(*admission.Input) {}},
		{strictData, "", func(in *admission.Input) { in.Service.Source = "flags" }},
		{waivedData, "", func(in *admission.Input) {
			in.Binary.Links, in.Binary.UID, in.Binary.Format = 2, 77, "script"
			in.Hooks = []admission.HookRun{{Name: "region", SHA256: digestOfA, Pinned: digestOfA, Error: "hook_rejected", Set: []string{"APP_X"}, Unset: []string{"A"}}}
		}},
		{"", formsRules, func(*admission.Input) {}},
	} {
		s := &site{}
		require.NoError(t, s.readData(source{"data.yaml", []byte(c.data)}))
		l, err := freshly(t, asText, sources.File{Name: "site/net/net.rego", Text: []byte(c.rules)})
		require.NoError(t, err)
		// Verdicts are compared here, however busy the machine is.
		patient := Options{Deadline: patience}
		fresh, err := build(patient, l, s)
		require.NoError(t, err)
		if c.rules != "" {
			s.modules = []source{{"site/net/net.rego", []byte(c.rules)}}
		}
		generated, err := build(patient, embedded(), s)
		require.NoError(t, err)
		fresh.codes, fresh.settings = generated.codes, generated.settings
		plain := *generated
		plain.plain = true
		for _, in := range changedInputs(t, c.wrong) {
			want, err := fresh.Decide(context.Background(), in)
			require.NoError(t, err)
			for _, f := range append(want.Violations, want.Warnings...) {
				found[f.Code] = true
			}
			for i, e := range []*Engine{generated, &plain} {
				got, err := e.Decide(context.Background(), in)
				require.NoError(t, err)
				got.DecisionID, got.Policy = want.DecisionID, want.Policy
				require.Equal(t, want, got, "%d", i)
			}
		}
	}
	for c := range libraryCodes() {
		require.True(t, found[c] || c == code.GrantMissing, "no case denies with %s", c)
	}
}

const strictData = `config:
  mode: monitor
  require_grants: [ticket]
  defaults:
    enforcement: {binary_hard_links: warn, env_name_forbidden: warn}
    definitions: {sources: [flags]}
    roots: {allowed: [/opt], allow_broad: [/opt/redis]}
    digests:
      require_listed: true
      deny: {` + digestOfA + `: {reason: leaked}}
    binary: {max_bytes: 1000, trusted_owners: [1], interpreters: [/usr/bin/dash]}
    callers: {uids: [5], gids: [6]}
    env: {allow: [TZ, "A*", "B*C"], deny: ["X_*", "Y*Z"]}
    binding: {minimum: sealed}
    confine: {no_new_privs: true, umask: "0077", nice: 3, drop_caps: [CAP_KILL], limits: {nofile: 4, nproc: {soft: 1, hard: 2}}, landlock: {read: [/etc]}}
catalog:
  ` + digestOfA + `: {service: other, version: 1.0.0}
`

const waivedData = `config:
  services:
    redis: {versions: {allow_prerelease: true}, binary: {allow_setuid: true}, roots: {allow_broad: [/opt/redis]}, hooks: {allow: {region: {sha256: ` + digestOfA + `, may_touch: ["APP_*", "A", "*B"]}}}}
waivers:
  live: {code: binary_hard_links, service: redis, expires: 2099-01-01T00:00:00Z, approver: a, reason: r}
  bound: {code: binary_is_script, service: redis, sha256: ` + digestOfA + `, expires: 2099-01-01T00:00:00Z, approver: a, reason: r}
  dead: {code: binary_owner_untrusted, service: redis, expires: 2020-01-01T00:00:00Z, approver: a, reason: r}
`

const formsRules = `package site.net

import rego.v2

import data.launch.lib.trust
import data.launch.lib.version

# METADATA
# custom: {code: site_owner, severity: low}
deny contains {"code": "site_owner", "message": $"{names} under {input.binary.path}"} if {
	every name in names { not startswith(name, "A") }
	not input.binary.uid in trust.owners
}

names := {variable.name | some variable in input.env}

# METADATA
# custom: {code: site_old}
warn contains {"code": "site_old", "message": "old", "evidence": {"versions": older}} if {
	older := [v | some v in input.service.version_allow_list; not version.at_least(v, "6.0.0")]
	count(older) > 0
}

# METADATA
# custom: {code: site_same}
warn contains {"code": "site_same", "message": other} if {
	some i, j
	input.env[i].value == input.env[j].value
	i < j
	other := concat("=", [input.env[i].name, input.env[j].name])
}

grant contains "ticket" if input.service.labels.k
`

const digestOfA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

// changedInputs gives a launch with what is wrong, and it with each fact changed.
func changedInputs(t *testing.T, wrong func(*admission.Input)) []*admission.Input {
	text, err := json.Marshal(goodInput())
	require.NoError(t, err)
	out := []*admission.Input{{}}
	for n := 0; ; n++ {
		in := &admission.Input{}
		require.NoError(t, json.Unmarshal(text, in))
		wrong(in)
		out = append(out, in)
		left := n
		if !change(reflect.ValueOf(in).Elem(), &left) {
			require.Greater(t, n, 400)
			return out
		}
	}
}

// change makes the change with the number n to what v holds, counting n down,
// and reports whether there was one.
func change(v reflect.Value, n *int) bool {
	try := func(values ...any) bool {
		if *n < len(values) {
			v.Set(reflect.ValueOf(values[*n]).Convert(v.Type()))
			return true
		}
		*n -= len(values)
		return false
	}
	switch v.Kind() {
	case reflect.String:
		return try("", "7.0.15-rc.1", "script", "LD_X", "allow_root_not_directory", digestOfA)
	case reflect.Bool:
		return try(!v.Bool())
	case reflect.Int64:
		return try(0, 77, int64(math.MaxInt64))
	case reflect.Pointer:
		return !v.IsNil() && change(v.Elem(), n)
	case reflect.Struct:
		for i := range v.NumField() {
			if change(v.Field(i), n) {
				return true
			}
		}
	case reflect.Map:
		return try(map[string]string{"k": "v"})
	case reflect.Slice:
		if v.Len() > 0 && change(v.Index(0), n) {
			return true
		}
		if *n == 0 {
			v.Set(reflect.MakeSlice(v.Type(), 0, 0))
			return true
		}
		*n--
		more := reflect.New(v.Type().Elem()).Elem()
		if change(more, n) {
			v.Set(reflect.Append(v, more))
			return true
		}
	}
	return false
}

// The library's own tests hold for the generated form too.
func TestRegoTestsOnGeneratedRules(t *testing.T) {
	e, err := Load(context.Background(), Options{Deadline: patience})
	require.NoError(t, err)
	plain, err := ast.JSON(wholeOf(t, e).root)
	require.NoError(t, err)
	store := inmem.NewFromObject(plain.(map[string]any))
	txn, err := store.NewTransaction(context.Background(), storage.WriteParams)
	require.NoError(t, err)
	defer store.Abort(context.Background(), txn)
	instead := insert(compiled.Modules())
	put := instead.Stage
	instead.Stage = func(c *ast.Compiler) *ast.Error {
		defer func() { c.RuleTree = ast.NewRuleTree(c.ModuleTree) }()
		return put(c)
	}
	c := ast.NewCompiler().WithStageAfterID(ast.StageCheckDeprecatedBuiltins, instead)
	results, err := tester.NewRunner().SetCompiler(c).SetStore(store).SetModules(libraryModules(t)).
		RaiseBuiltinErrors(true).RunTests(context.Background(), txn)
	require.NoError(t, err)
	n := 0
	for r := range results {
		n++
		require.NoError(t, r.Error, r.Name)
		require.False(t, r.Fail, r.Name)
	}
	require.Greater(t, n, 90)
	require.True(t, strings.HasPrefix(c.Modules["launch/main.rego"].Rules[0].Location.File, "launch/"))
	require.Nil(t, c.Modules["launch/main.rego"].Rules[0].Annotations, "these are the generated ones: "+strconv.Itoa(n))
}
