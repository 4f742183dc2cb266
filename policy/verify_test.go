package policy

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
)

// Ways in which a site might try to let in what the library denies. None may end
// in an admission, whether Rego or Go stops it.
func TestNoSiteWeakensTheLibrary(t *testing.T) {
	evil := func(in *admission.Input) { in.Binary.InsideRoot = false; in.Binary.Links = 2 }
	annotated := func(custom, body string) string {
		return "package site.evil\n\nimport rego.v2\n\n# METADATA\n# custom: " + custom + "\n" + body + "\n"
	}
	for name, f := range map[string]files{
		"allow in a package of its own":   {"site/evil/e.rego": "package site.evil\n\nimport rego.v2\n\nallow := true\n"},
		"grants the library's grants":     {"site/evil/e.rego": "package site.evil\n\nimport rego.v2\n\ngrant contains \"placement\" if true\n\ngrant contains \"ownership\" if true\n"},
		"the library's code as a warning": {"site/evil/e.rego": annotated("{code: site_x}", `warn contains {"code": "binary_outside_allow_root", "message": "m", "evidence": {}} if true`)},
		"claims to be another rule":       {"site/evil/e.rego": annotated("{code: site_x}", `deny contains {"code": "site_x", "message": "m", "evidence": {}, "rule": "launch.rules.file", "enforcement": "standard"} if true`)},
		"an element of another form":      {"site/evil/e.rego": annotated("{code: site_x}", `deny contains {"code": "site_x"} if true`)},
		"a level of a mandatory code":     {"data.yaml": "config: {defaults: {enforcement: {binary_outside_allow_root: warn}}}\n"},
		"a waiver of a mandatory code":    {"data.yaml": "waivers: {W: {code: binary_outside_allow_root, service: redis, expires: 2099-01-01T00:00:00Z, approver: a, reason: r}}\n"},
		"an expired waiver":               {"data.yaml": "waivers: {W: {code: binary_hard_links, service: redis, expires: 2020-01-01T00:00:00Z, approver: a, reason: r}}\n"},
		"monitors":                        {"data.yaml": "config: {mode: monitor}\n"},
		"a mode for one service":          {"data.yaml": "config: {services: {redis: {mode: monitor}}}\n"},
		"takes required grants away":      {"data.yaml": "config: {require_grants: []}\n"},
		"overwrites the levels":           {"data.yaml": "launch: {codes: {}}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := loadSite(t, f)
			if err != nil {
				return // refused when it is loaded
			}
			in := goodInput()
			evil(in)
			in.Launcher.Mode = e.Settings("redis").Mode
			d, err := e.Decide(context.Background(), in)
			require.False(t, d.Allow)
			if err == nil {
				require.Contains(t, codesOf(d.Violations), code.BinaryOutsideAllowRoot)
				require.Equal(t, code.Mandatory, d.Violations[0].Enforcement)
			}
		})
	}
}

// Go's own check of what Rego says, for a Rego that lies.
func TestVerifyTrustsNothing(t *testing.T) {
	e, err := loadSite(t, files{
		"data.yaml": `config: {mode: monitor, require_grants: [ticket], defaults: {enforcement: {binary_hard_links: warn}}}
waivers:
  live: {code: binary_setuid, service: redis, expires: 2099-01-01T00:00:00Z, approver: a, reason: r}
  dated: {code: binary_setuid, service: redis, expires: 2026-01-01T00:00:00Z, approver: a, reason: r}
  file: {code: binary_setuid, service: redis, sha256: "` + digestOf('b') + `", expires: 2099-01-01T00:00:00Z, approver: a, reason: r}
`,
		"site/a/a.rego": "package site.a\n\nimport rego.v2\n\n# METADATA\n# custom: {code: site_strict, enforcement: mandatory}\ndeny contains {\"code\": \"site_strict\", \"message\": \"m\", \"evidence\": {}} if input.schema == 2\n\ngrant contains \"ticket\"\n",
	})
	require.NoError(t, err)
	in := goodInput()
	in.Launcher.Mode = "monitor"
	good, err := e.Decide(context.Background(), in)
	require.NoError(t, err)
	require.True(t, good.Allow)
	require.NoError(t, e.verify(&good, in))
	finding := func(c code.Code, level code.Enforcement, rule string) admission.Finding {
		return admission.Finding{Code: c, Enforcement: level, Severity: e.codes[c].severity, Rule: rule, Evidence: map[string]any{}}
	}
	waived := func(id, expires string) func(*admission.Decision) {
		return func(d *admission.Decision) {
			d.Waived = []admission.Waived{{Code: code.BinarySetuid, Waiver: id, Expires: expires}}
		}
	}
	for name, c := range map[string]struct {
		change func(*admission.Decision)
		ok     bool
	}{
		"as it was":                  {func(*admission.Decision) {}, true},
		"a live waiver":              {waived("live", "2099-01-01T00:00:00Z"), true},
		"an expired waiver":          {waived("dated", "2026-01-01T00:00:00Z"), false},
		"an expired waiver, redated": {waived("dated", "2099-01-01T00:00:00Z"), false},
		"a waiver with another date": {waived("live", "2199-01-01T00:00:00Z"), false},
		"a waiver for another file":  {waived("file", "2099-01-01T00:00:00Z"), false},
		"a waiver nobody wrote":      {waived("other", "2099-01-01T00:00:00Z"), false},
		"a configured warning": {func(d *admission.Decision) {
			d.Warnings = []admission.Finding{finding(code.BinaryHardLinks, code.Standard, "launch.rules.file")}
		}, true},
		"another warning": {func(d *admission.Decision) {
			d.Warnings = []admission.Finding{finding(code.BinarySetuid, code.Standard, "launch.rules.file")}
		}, false},
		"a mandatory warning": {func(d *admission.Decision) {
			d.Warnings = []admission.Finding{finding("site_strict", code.Mandatory, "site.a")}
		}, false},
		"a mandatory one as standard": {func(d *admission.Decision) {
			d.Allow = false
			d.Violations = []admission.Finding{finding(code.DigestDenied, code.Standard, "launch.rules.digest")}
		}, false},
		"allow beside a violation": {func(d *admission.Decision) {
			d.Violations = []admission.Finding{finding(code.DigestDenied, code.Mandatory, "launch.rules.digest")}
		}, false},
		"without a site's grant":  {func(d *admission.Decision) { d.Grants = requiredGrants() }, false},
		"a weaker binding":        {func(d *admission.Decision) { d.Obligations.Binding = admission.Pinned }, false},
		"a binding nobody knows":  {func(d *admission.Decision) { d.Obligations.Binding = "strongest" }, false},
		"other confinement":       {func(d *admission.Decision) { d.Obligations.Confine.NoNewPrivs = !d.Obligations.Confine.NoNewPrivs }, false},
		"a hook nobody asked for": {func(d *admission.Decision) { d.Obligations.Hooks = []string{"h"} }, false},
		"another mode":            {func(d *admission.Decision) { d.Mode = "off" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := good
			c.change(&d)
			if err := e.verify(&d, in); c.ok {
				require.NoError(t, err)
			} else {
				require.Error(t, err)
			}
		})
	}
	enforced := goodInput()
	require.Error(t, e.verify(&good, enforced), "monitor is not what the launcher asked for")
}

func digestOf(b byte) string {
	out := make([]byte, 64)
	for i := range out {
		out[i] = b
	}
	return string(out)
}
