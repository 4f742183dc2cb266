package policy

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCatalogKeepsEverythingElse(t *testing.T) {
	a, b := strings.Repeat("a", 64), strings.Repeat("b", 64)
	r := Release{a, "redis", "7.0.15"}
	own := `"` + a + `": {"service": "redis", "version": "7.0.15"}`
	other := b + ": {service: redis, version: 7.0.14}"
	for name, c := range map[string]struct{ file, old, want string }{
		"no file":         {"", "", "catalog:\n  " + own + "\n"},
		"empty":           {"data.yaml", "", "catalog:\n  " + own + "\n"},
		"comments alone":  {"data.yaml", "# words", "# words\ncatalog:\n  " + own + "\n"},
		"no catalogue":    {"data.yaml", "# words\nconfig: {} # more", "# words\nconfig: {} # more\ncatalog:\n  " + own + "\n"},
		"empty catalogue": {"data.yaml", "catalog: {} # words\nconfig: {}\n", "catalog: {" + own + "} # words\nconfig: {}\n"},
		"no value":        {"data.yaml", "catalog:\nconfig: {}\n", ""},
		"block":           {"data.yaml", "catalog:\n    # first\n    " + other + "\nconfig: {}\n", "catalog:\n    # first\n    " + own + "\n    " + other + "\nconfig: {}\n"},
		"flow":            {"data.yaml", "catalog: {\n  " + other + "\n}\n", "catalog: {" + own + ", \n  " + other + "\n}\n"},
		"one line":        {"data.yaml", "{catalog: {" + other + "}, config: {}}", "{catalog: {" + own + ", " + other + "}, config: {}}"},
		"one line, none":  {"data.yaml", "{config: {}}", `{"catalog": {` + own + "}, config: {}}"},
		"JSON":            {"data.json", "{\n  \"config\": {},\n  \"catalog\": {}\n}\n", "{\n  \"config\": {},\n  \"catalog\": {" + own + "}\n}\n"},
		"JSON, none":      {"data.json", "{}", `{"catalog": {` + own + "}}"},
	} {
		t.Run(name, func(t *testing.T) {
			f := files{"site/net/net.rego": netRules}
			if c.file != "" {
				f[c.file] = c.old
			}
			edit, err := AddRelease(context.Background(), writeSite(t, f), r)
			if name == "no value" {
				require.ErrorContains(t, err, "data.yaml:1") // nothing is guessed about a value that is refused
				return
			}
			require.NoError(t, err)
			require.True(t, edit.Changed)
			require.NoError(t, edit.Unchanged())
			require.Equal(t, c.want, string(edit.New))
		})
	}
}

func TestCatalogRefuses(t *testing.T) {
	a := strings.Repeat("a", 64)
	dir := writeSite(t, files{"data.yaml": "catalog: {" + a + ": {service: redis, version: 7.0.15}}\n"})
	edit, err := AddRelease(context.Background(), dir, Release{a, "redis", "7.0.15"})
	require.NoError(t, err)
	require.False(t, edit.Changed)
	_, err = AddRelease(context.Background(), dir, Release{a, "redis", "7.0.16"})
	require.ErrorContains(t, err, "is redis@7.0.15 already")
	_, err = AddRelease(context.Background(), dir, Release{"abc", "redis", "7.0.16"})
	require.ErrorContains(t, err, "abc")
	_, err = AddRelease(context.Background(), dir, Release{strings.Repeat("b", 64), "redis", `7.0.16"}, x: {y: "`})
	require.Error(t, err)
	list, err := Catalog(context.Background(), dir)
	require.NoError(t, err)
	require.Equal(t, []Release{{a, "redis", "7.0.15"}}, list)

	require.NoError(t, os.WriteFile(edit.File, []byte("config: {}\n"), 0o600))
	require.ErrorContains(t, edit.Unchanged(), "meanwhile")
}
