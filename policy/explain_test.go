package policy

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/policy/internal/sources"
	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
)

// Every finding of the library names the line of the rule that has its code.
func TestFindingsNameTheirRule(t *testing.T) {
	e, err := Load(context.Background(), Options{Deadline: patience})
	require.NoError(t, err)
	rules := map[string][]string{}
	all, err := sources.Files()
	require.NoError(t, err)
	for _, f := range all {
		rules[f.Name] = strings.Split(string(f.Text), "\n")
	}
	for c, entry := range libraryCodes() {
		at := e.places(entry.rule, string(c))
		if strings.HasPrefix(string(c), "hook_") && at == "" {
			continue // found by the launcher
		}
		require.NotEmpty(t, at, c)
		for place := range strings.SplitSeq(at, ", ") {
			file, line, ok := strings.Cut(place, ":")
			require.True(t, ok, place)
			n, err := strconv.Atoi(line)
			require.NoError(t, err)
			require.Contains(t, rules[file][n-1], " contains ", "%s: %s", c, place)
			rule := strings.Join(rules[file][n-1:min(n+40, len(rules[file]))], "\n")
			require.Contains(t, rule, `"`+string(c)+`"`, place)
		}
	}
}

func TestExplain(t *testing.T) {
	e, err := loadSite(t, files{
		"data.yaml": "config: {services: {redis: {digests: {require_listed: true}}}}\n",
		"site/net/net.rego": `package site.net

import rego.v2

# METADATA
# title: No ports
# custom: {code: site_port}
deny contains finding if {
	_has_port
	finding := {"code": "site_port", "message": "a port", "evidence": {}}
}

_has_port if "--port" in input.request.args

warn contains finding if {
	some v in input.env_facts.foreign
	v.name == "TZ"
	finding := {"code": "site_port", "message": "tz", "evidence": {"name": v.name}}
}
`})
	require.NoError(t, err)
	x, err := e.Explain(context.Background(), goodInput())
	require.NoError(t, err)
	require.False(t, x.Decision.Allow)
	byRule := map[string]Fired{}
	for _, f := range x.Fired {
		byRule[f.Rule+" "+f.Gave] = f
	}
	paths := func(f Fired) (out []string) {
		for _, fact := range f.Facts {
			out = append(out, fact.Path)
		}
		return out
	}
	port := byRule["site.net.deny site_port"]
	require.Equal(t, "site/net/net.rego:8", port.Location)
	require.Equal(t, []string{"input.request.args"}, paths(port))
	require.Equal(t, []any{"--port", "0"}, port.Facts[0].Value)
	digest := byRule["launch.rules.digest.deny digest_not_listed"]
	require.Contains(t, digest.Location, "launch/rules/digest.rego:")
	require.Contains(t, paths(digest), "config.digests.require_listed")
	require.Contains(t, paths(digest), "input.binary.sha256")
	require.Contains(t, byRule, "launch.rules.placement.grant placement")
	require.Equal(t, "grant", byRule["launch.rules.version.grant version"].Kind)
	require.Contains(t, byRule, "site.net.warn site_port")
	require.Contains(t, x.Decision.Warnings[0].Location, "site/net/net.rego:8")
	require.Greater(t, x.Looked, 20)
	for _, f := range x.Fired {
		for _, fact := range f.Facts {
			require.NotContains(t, inline(fact.Value), "UTC", "values of variables are not shown")
		}
	}
	require.Equal(t, []string{"configuration", "waiver", "machine", "waiver"}, func() (out []string) {
		for _, r := range x.Remedies {
			out = append(out, r.Kind)
		}
		return out
	}())
}

func TestNamesOfWaivers(t *testing.T) {
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	require.Equal(t, "W-redis-binary_hard_links-20261123", waiverID("redis", code.BinaryHardLinks, now))
	require.Equal(t, "W-binary_hard_links-20261123", waiverID(strings.Repeat("a", 64), code.BinaryHardLinks, now))
	require.Len(t, waiverID("redis", code.Code("site_"+strings.Repeat("a", 90)), now), 64)
}

// What a remedy says lets the launch pass the rule.
func TestRemediesHelp(t *testing.T) {
	base := `config:
  defaults:
    definitions: {sources: [file]}
    digests: {require_listed: true}
    callers: {uids: [1], gids: [1]}
    roots: {allowed: [/srv]}
    env: {allow: [APP_*, X]}
    binary: {max_bytes: 100}
`
	alter := func(in *admission.Input) {
		in.Service.Source, in.Service.OwnerUID = "flags", 77
		in.Root.Broad = "system directory"
		in.Binary.UID, in.Binary.Setuid, in.Binary.Capabilities, in.Binary.Links, in.Binary.Format = 55, true, true, 2, "script"
		in.Request.Version = "8.0.0-rc.1"
		in.EnvFacts.Foreign = []admission.EnvVar{{Name: "LD_PRELOAD", Value: "x", Origin: admission.OriginDefinition}}
		in.Hooks = []admission.HookRun{
			{Name: "region", SHA256: strings.Repeat("a", 64), Pinned: strings.Repeat("a", 64), Ran: true, Set: []string{}, Unset: []string{}},
		}
	}
	denied := func(data string) (admission.Decision, *Engine) {
		e, err := loadSite(t, files{"data.yaml": data})
		require.NoError(t, err, data)
		in := goodInput()
		alter(in)
		d, err := e.Decide(context.Background(), in)
		require.NoError(t, err)
		return d, e
	}
	d, e := denied(base)
	in := goodInput()
	alter(in)
	seen, together := map[string]bool{}, base+"waivers:\n"
	for _, r := range e.Remedies(&d, in) {
		switch r.Kind {
		case "configuration":
			without := base
			if strings.HasPrefix(r.Snippet, "config:\n") {
				without = base + strings.TrimPrefix(r.Snippet, "config:\n")
			}
			after, _ := denied(without)
			require.NotContains(t, codesOf(after.Violations), r.Code, r.Snippet)
		case "waiver":
			waiver := strings.NewReplacer(`approver: ""`, "approver: me", `reason: ""`, "reason: test").Replace(r.Snippet)
			together += strings.TrimPrefix(waiver, "waivers:\n")
			after, _ := denied(base + waiver)
			require.NotContains(t, codesOf(after.Violations), r.Code, r.Snippet)
			require.Contains(t, inline(after.Waived), string(r.Code))
		case "definition":
			require.Contains(t, r.Snippet, "8.0.0-rc.1")
		}
		seen[r.Kind+" "+string(r.Code)] = true
	}
	after, _ := denied(together)
	for _, v := range after.Violations {
		require.NotEqual(t, code.Standard, v.Enforcement, "%s stays with every waiver pasted", v.Code)
	}
	for _, want := range []code.Code{
		code.DigestNotListed, code.AllowRootTooBroad, code.AllowRootNotPermitted, code.DefinitionSourceNotPermitted,
		code.BinaryOwnerUntrusted, code.BinarySetuid, code.BinaryFileCapabilities, code.CallerNotPermitted, code.CallerGroupRequired, code.EnvNameForbidden,
		code.HookNotListed,
	} {
		require.Contains(t, slices.Collect(maps.Keys(seen)), "configuration "+string(want))
	}
}
