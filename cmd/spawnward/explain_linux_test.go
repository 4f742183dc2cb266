package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/policy"
)

// site writes a policy directory beside the services.
func (b *bench) site(name string, files map[string]string) string {
	b.t.Helper()
	dir := filepath.Join(filepath.Dir(b.services), name)
	for file, text := range files {
		path := filepath.Join(dir, file)
		require.NoError(b.t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(b.t, os.WriteFile(path, []byte(text), 0o600))
	}
	return dir
}

func TestCheckAndExplainSayWhereAndWhatWouldHelp(t *testing.T) {
	b := newBench(t)
	binary, root := b.backend()
	site := b.site("strict", map[string]string{"data.yaml": "config: {services: {app: {digests: {require_listed: true}}}}\n"})
	args := []string{"--policy", site, "--binary", binary, "--root", root, "app@1.0.0"}

	out, _, status := b.fails(append([]string{"check", "-o", "json"}, args...)...)
	require.Equal(t, 3, status)
	matches(t, "check", out)
	var c checked
	require.NoError(t, json.Unmarshal(out, &c))
	require.Contains(t, c.Decision.Violations[0].Location, "launch/rules/digest.rego:")
	require.Equal(t, "configuration", c.Remedies[0].Kind)
	out, _, _ = b.fails(append([]string{"check"}, args...)...)
	require.Contains(t, string(out), "rule: launch/rules/digest.rego:")
	require.Contains(t, string(out), "What would make it pass:")

	out, _, status = b.fails(append([]string{"policy", "explain", "-o", "json"}, args...)...)
	require.Equal(t, 3, status)
	matches(t, "explain", out)
	var x policy.Explanation
	require.NoError(t, json.Unmarshal(out, &x))
	require.Equal(t, "digest_not_listed", x.Fired[0].Gave)
	out, _, _ = b.fails(append([]string{"policy", "explain"}, args...)...)
	require.Contains(t, string(out), "config.digests.require_listed = true")

	// What it proposes, written where it says, lets the launch pass.
	fixed := b.site("fixed", map[string]string{"data.yaml": c.Remedies[0].Snippet})
	matches(t, "explain", b.ok("policy", "explain", "-o", "json", "--policy", fixed, "--binary", binary, "--root", root, "app@1.0.0"))
	out, errs, status := b.fails("policy", "explain", "-o", "json", "nothing@1.0.0")
	require.Equal(t, 1, status)
	require.Contains(t, string(errs), "service_unknown")
	require.Contains(t, string(out), "service_unknown")
}

func TestPolicyDiff(t *testing.T) {
	b := newBench(t)
	binary, root := b.backend()
	def := "service_name: app\nbinary_path: " + binary + "\nper_version_binary_dir: " + root + "\nlaunch:\n  args: [scripted-backend, good]\n  env: {TOKEN: secret-token}\n"
	require.NoError(t, os.WriteFile(filepath.Join(b.services, "app.yaml"), []byte(def), 0o600))
	b.ok("launch", "app@1.0.0")
	b.ok("stop", "app")
	_, _, status := b.fails("launch", "--binary", binary, "--root", "/usr/bin", "app@1.0.0")
	require.Equal(t, 3, status)
	diff := func(args ...string) diffResult {
		out := b.ok(append([]string{"policy", "diff", "-o", "json"}, args...)...)
		matches(t, "diff", out)
		var r diffResult
		require.NoError(t, json.Unmarshal(out, &r))
		return r
	}
	same := diff("embedded", "embedded")
	require.Equal(t, []int{2, 2, 0, 0}, []int{same.Replayed, same.Same, same.UnlikeLogged, len(same.Rows)})

	strict := b.site("strict", map[string]string{"data.yaml": "config: {services: {app: {digests: {require_listed: true}}}}\n"})
	r := diff("embedded", strict)
	require.Equal(t, []int{2, 1, 1, 0}, []int{r.Replayed, r.Denied, r.Codes, r.Allowed})
	require.Equal(t, "allow to deny", r.Rows[0].Change)
	require.Equal(t, "digest_not_listed", string(r.Rows[0].Added[0]))
	back := diff(strict, "embedded")
	require.Equal(t, []int{1, 2}, []int{back.Allowed, back.UnlikeLogged})

	values := b.site("values", map[string]string{"site/env/env.rego": `package site.env

import rego.v2

# METADATA
# title: No secret in plain sight
# custom: {code: site_secret}
deny contains {"code": "site_secret", "message": "m", "evidence": {}} if {
	some v in input.env
	v.name == "TOKEN"
	v.value == "secret-token"
}
`})
	r = diff("embedded", values)
	require.Equal(t, []int{1, 1}, []int{r.Replayed, r.NotReplayable}, "only the launch that has the variable")
	require.Contains(t, string(b.ok("policy", "diff", "embedded", values)), "not replayable")
	require.Equal(t, r.Rows, diff("--against", filepath.Dir(b.logFile()), "embedded", values).Rows)
	require.Equal(t, r.Rows, diff("--against", b.logFile(), "embedded", values).Rows)
	_, _, status = b.fails("policy", "diff", "embedded")
	require.Equal(t, 2, status)
	_, _, status = b.fails("policy", "diff", "embedded", filepath.Join(root, "none"))
	require.Equal(t, 4, status)
	_, _, status = b.fails("policy", "diff", "--against", filepath.Join(root, "none"), "embedded", "embedded")
	require.Equal(t, 1, status)
}
