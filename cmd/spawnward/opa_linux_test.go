package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOPACommand exchanges signed bundles with the opa command, which
// SPAWNWARD_OPA names; CI builds it from the module that this project uses.
func TestOPACommand(t *testing.T) {
	opa := os.Getenv("SPAWNWARD_OPA")
	if opa == "" {
		t.Skip("SPAWNWARD_OPA names no opa command; CI builds one, and policy's TestBundlesAreOPAs does the same with OPA's packages")
	}
	b := newBench(t)
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	writeKeys(t, path("good"), path("good.pub"))
	writeKeys(t, path("other"), path("other.pub"))
	run := func(want bool, in string, args ...string) string {
		t.Helper()
		c := exec.Command(opa, args...)
		c.Dir = in
		out, err := c.CombinedOutput()
		require.Equal(t, want, err == nil, "%v: %s", args, out)
		return string(out)
	}
	b.ok("policy", "init", path("site"))

	// Ours, read there.
	b.ok("policy", "build", path("site"), "--sequence", "3", "--out", path("ours.tar.gz"))
	b.ok("policy", "sign", path("ours.tar.gz"), "--key", path("good"))
	verified := func(key string) []string {
		return []string{"build", "-b", "ours.tar.gz", "--verification-key", key, "--signing-alg", "EdDSA", "-o", "again.tar.gz"}
	}
	run(true, dir, verified("good.pub")...)
	require.Contains(t, run(false, dir, verified("other.pub")...), "verify")
	require.Equal(t, "enforce\n", run(true, dir, "eval", "-b", "ours.tar.gz", "-f", "raw", "data.config.mode"))
	require.Contains(t, run(true, dir, "inspect", "-a", "ours.tar.gz"), "No backend listens on every address")
	run(true, dir, "check", "-b", "ours.tar.gz")

	// Theirs, read here: made of the directory from within and from without.
	sign := []string{"--signing-key", path("good"), "--signing-alg", "EdDSA", "-o"}
	run(true, path("site"), append([]string{"build", "-b", "."}, append(sign, path("within.tar.gz"))...)...)
	run(true, dir, append([]string{"build", "-b", "site"}, append(sign, path("without.tar.gz"))...)...)
	for _, name := range []string{"within.tar.gz", "without.tar.gz"} {
		out := b.ok("policy", "verify", path(name), "--verification-key", path("good.pub"))
		require.Contains(t, string(out), "site_listens_everywhere")
		require.Error(t, b.cmd("policy", "verify", path(name), "--verification-key", path("other.pub")).Run())
	}
	b.ok("policy", "verify", path("ours.tar.gz"), "--verification-key", path("good.pub"))

	// Lists in an index are not for OPA, which is told so and reads no half of
	// them; the bundle that is made of it again has them all.
	for i := range 20 {
		b.ok("catalog", "add", path("site"), "redis@7.0.15", fmt.Sprintf("%064x", i))
	}
	const listed = `count(data.catalog); data.catalog["0000000000000000000000000000000000000000000000000000000000000011"].version`
	b.ok("policy", "build", path("site"), "--index", "--out", path("site.index"))
	require.Contains(t, run(false, dir, "eval", "-b", "site.index", listed), "gzip")
	b.ok("policy", "build", path("site.index"), "--out", path("again.tar.gz"))
	b.ok("policy", "build", path("site"), "--out", path("direct.tar.gz"))
	direct := run(true, dir, "eval", "-b", "direct.tar.gz", listed)
	require.Equal(t, direct, run(true, dir, "eval", "-b", "again.tar.gz", listed))
	require.Contains(t, direct, "7.0.15")
}
