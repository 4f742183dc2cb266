package conformance

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// siteCopy is a site that nobody else can write, whatever the checkout's modes.
func siteCopy(t *testing.T, name string) string {
	dir := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata/sites", name))))
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		require.NoError(t, err)
		mode := os.FileMode(0o644)
		if d.IsDir() {
			mode = 0o755
		}
		return os.Chmod(path, mode)
	}))
	return dir
}

func TestPolicy(t *testing.T) {
	for _, c := range []struct {
		site, only string
		want       map[string]Outcome
		reason     map[string]string
	}{
		{
			"stricter", "O-04",
			map[string]Outcome{"O-04-shared-namespace": Tighter, "O-04-private-namespace": Held, "O-04-endpoint-too-long": Held},
			map[string]string{"O-04-shared-namespace": "denied by site_shared_broker"},
		},
		{
			"waiving", "O-14",
			map[string]Outcome{"O-14-not-listed": Waived, "O-14-below-minimum": Waived, "O-14-listed": Held, "O-14-no-only-version": Held},
			map[string]string{
				"O-14-not-listed":    "version_not_listed is given up by the setting config.defaults.enforcement.version_not_listed: warn",
				"O-14-below-minimum": "version_below_minimum is given up by waiver W-17 until 2099-01-01T00:00:00Z",
			},
		},
		{
			"waiving", "version_prerelease_not_allowed",
			map[string]Outcome{"prerelease-not-allowed": Waived, "prerelease-listed": Held},
			map[string]string{"prerelease-not-allowed": "version_prerelease_not_allowed is given up by the setting config.defaults.versions.allow_prerelease: true"},
		},
		{
			"mistaken", "O-14",
			map[string]Outcome{"O-14-listed": Broken, "O-14-below-minimum": Broken, "O-14-no-only-version": Held},
			map[string]string{"O-14-listed": "policy_error"},
		},
	} {
		t.Run(c.site+" "+c.only, func(t *testing.T) {
			got := runCases(t, c.only, Options{Policy: siteCopy(t, c.site)})
			for id, want := range c.want {
				require.Contains(t, got, id)
				require.Equal(t, want, got[id].Outcome, "%s: %s %q %q", id, got[id].Reason, got[id].Seen, got[id].Difference)
				require.Contains(t, got[id].Reason, c.reason[id])
				if want != Held {
					require.NotEmpty(t, got[id].Difference)
				}
			}
		})
	}
}

// A policy under which nothing is launched any more has kept every denial and is
// of no use.
func TestPolicyThatDeniesEverything(t *testing.T) {
	site := filepath.Join(t.TempDir(), "site")
	require.NoError(t, os.MkdirAll(site, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(site, "data.yaml"), []byte("config: {defaults: {callers: {uids: [4242]}}}\n"), 0o644))
	cases, err := Load("O-14")
	require.NoError(t, err)
	report, err := Run(t.Context(), cases, Options{Program: program(t), Policy: site})
	require.NoError(t, err)
	require.False(t, report.OK)
	require.Zero(t, report.Counts[Tighter])
	require.NotZero(t, report.Counts[Broken])
	var text bytes.Buffer
	require.NoError(t, report.WriteText(&text, false))
	require.Contains(t, text.String(), "no case launches a backend any more")
}
