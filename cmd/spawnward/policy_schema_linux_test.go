package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// What the commands on policy print has the published forms.
func TestPolicyOutputMatchesTheSchemas(t *testing.T) {
	b := newBench(t)
	binary, _ := b.backend()
	dir := t.TempDir()
	site, bundle := filepath.Join(dir, "site"), filepath.Join(dir, "site.tar.gz")
	failing := func(args ...string) []byte {
		out, err := b.cmd(args...).Output()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
		return out
	}
	matches(t, "policy_init", b.ok("policy", "init", "-o", "json", site))
	matches(t, "policy_check", b.ok("policy", "check", "-o", "json", site))
	matches(t, "policy_test", b.ok("policy", "test", "-o", "json", site))
	matches(t, "policy_test", b.ok("policy", "test", "-o", "json", "--coverage", site))
	matches(t, "policy_rules", b.ok("policy", "rules", "-o", "json"))
	matches(t, "policy_rules", b.ok("policy", "rules", "-o", "json", site))
	matches(t, "catalog_list", b.ok("catalog", "list", "-o", "json", site))
	matches(t, "catalog_add", b.ok("catalog", "add", "-o", "json", site, "app@1.0.0", binary))
	matches(t, "catalog_add", b.ok("catalog", "add", "-o", "json", site, "app@1.0.0", binary))
	matches(t, "catalog_list", b.ok("catalog", "list", "-o", "json", site))
	matches(t, "policy_bundle", b.ok("policy", "build", "-o", "json", "--out", bundle, site))

	key, public := filepath.Join(dir, "key.pem"), filepath.Join(dir, "key.pub")
	writeKeys(t, key, public)
	matches(t, "policy_bundle", b.ok("policy", "sign", "-o", "json", "--key", key, bundle))
	matches(t, "policy_check", b.ok("policy", "verify", "-o", "json", "--verification-key", public, bundle))

	data := filepath.Join(site, "data.yaml")
	require.NoError(t, os.WriteFile(data, []byte("waivers: {W: {code: binary_hard_links, service: a, expires: 2020-01-01T00:00:00Z, approver: a, reason: r}}\n"), 0o600))
	matches(t, "policy_check", b.ok("policy", "check", "-o", "json", site))
	require.NoError(t, os.WriteFile(data, []byte("config: {mode: monitor, require_grants: [x]}\n"), 0o600))
	matches(t, "policy_test", failing("policy", "test", "-o", "json", site))
	require.NoError(t, os.WriteFile(data, []byte("confg: {}\n"), 0o600))
	matches(t, "policy_check", failing("policy", "check", "-o", "json", site))
	matches(t, "policy_check", failing("policy", "build", "-o", "json", "--out", bundle, site))
}
