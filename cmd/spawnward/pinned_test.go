package main

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/code"
)

// TestPinnedFile runs the command with a pinned file that the test's own user
// may write, as root may in earnest.
func TestPinnedFile(t *testing.T) {
	dir := t.TempDir()
	write := func(t *testing.T, text string, mode os.FileMode) string {
		file := filepath.Join(t.TempDir(), "config.yaml")
		require.NoError(t, os.WriteFile(file, []byte(text), mode))
		return file
	}
	for name, row := range map[string]struct {
		text   string
		mode   os.FileMode
		args   []string
		status int
		says   string
	}{
		"missing file pins nothing": {"", 0, []string{"ps", "--state", filepath.Join(dir, "a")}, 0, ""},
		"empty":                     {"{}\n", 0o600, []string{"ps", "--state", filepath.Join(dir, "a")}, 0, ""},
		"state is pinned":           {"state: " + dir + "/pinned\n", 0o600, []string{"ps", "--state", filepath.Join(dir, "a")}, 2, "pins it to"},
		"the same state is fine":    {"state: " + dir + "/pinned\n", 0o600, []string{"ps", "--state", dir + "/pinned/"}, 0, ""},
		"policy is pinned":          {"policy: /etc/spawnward/site\n", 0o600, []string{"check", "--policy", "/tmp/x", "a@1.0.0"}, 2, "--policy /tmp/x"},
		"services are pinned":       {"services: /etc/spawnward/none\n", 0o600, []string{"service", "list", "--services", "/tmp/x"}, 2, "--services /tmp/x"},
		"monitor cannot be asked":   {"mode: enforce\n", 0o600, []string{"check", "--mode", "monitor", "a@1.0.0"}, 2, "only enforce"},
		"unknown mode":              {"mode: off\n", 0o600, []string{"ps"}, 1, "enforce, monitor"},
		"unknown key":               {"polcy: /x\n", 0o600, []string{"ps"}, 1, `did you mean "policy"`},
		"one key":                   {"verification_keys: /x\n", 0o600, []string{"ps"}, 1, "needs a list"},
		"no keys":                   {"verification_keys: []\n", 0o600, []string{"ps"}, 1, "needs a list"},
		"relative key":              {"verification_keys: [x]\n", 0o600, []string{"ps"}, 1, "absolute"},
		"missing key":               {"verification_keys: [/nowhere/x]\n", 0o600, []string{"check", "a@1.0.0"}, 1, "/nowhere/x"},
		"log is pinned":             {"log: /var/log/x\n", 0o600, []string{"log", "show", "--log", "/tmp/x"}, 2, "--log /tmp/x"},
		"the same log is fine":      {"log: " + dir + "/log\n", 0o600, []string{"log", "show", "--log", dir + "/log/"}, 0, ""},
		"relative log":              {"log: here\n", 0o600, []string{"ps"}, 1, "absolute"},
		"relative path":             {"state: here\n", 0o600, []string{"ps"}, 1, "absolute"},
		"no YAML":                   {"state: [\n", 0o600, []string{"ps"}, 1, "config.yaml"},
		"twice":                     {"state: /a\nstate: /b\n", 0o600, []string{"ps"}, 1, "already defined"},
		"writable by others":        {"{}\n", 0o622, []string{"ps"}, 1, "others can write it"},
		"more than one document":    {"{}\n---\nstate: /x\n", 0o600, []string{"ps"}, 1, "one document"},
		"no value":                  {"policy:\n", 0o600, []string{"ps"}, 1, "needs a text"},
		"wrong type":                {"state: [a]\n", 0o600, []string{"ps"}, 1, "config.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			a := newApp(nil, &out, &errs)
			a.trustedUID = os.Geteuid()
			a.pinnedConfig = filepath.Join(dir, "none")
			if row.mode != 0 {
				a.pinnedConfig = write(t, row.text, 0o600)
				require.NoError(t, os.Chmod(a.pinnedConfig, row.mode))
			}
			require.Equal(t, row.status, a.run(row.args), errs.String())
			require.Contains(t, errs.String(), row.says)
		})
	}
	t.Run("a link that leads nowhere", func(t *testing.T) {
		var out, errs bytes.Buffer
		a := newApp(nil, &out, &errs)
		a.trustedUID = os.Geteuid()
		a.pinnedConfig = filepath.Join(t.TempDir(), "config.yaml")
		require.NoError(t, os.Symlink("/nowhere/config.yaml", a.pinnedConfig))
		require.Equal(t, code.ExitOther, a.run([]string{"ps"}))
		require.Contains(t, errs.String(), "leads nowhere")
	})
	t.Run("of another user", func(t *testing.T) {
		if os.Geteuid() == 0 {
			file := write(t, "{}\n", 0o600)
			require.NoError(t, os.Chown(file, 1001, 1001))
			var out, errs bytes.Buffer
			a := newApp(nil, &out, &errs)
			a.pinnedConfig = file
			require.Equal(t, code.ExitOther, a.run([]string{"ps"}))
			require.Contains(t, errs.String(), "belongs to user 1001")
		}
	})
}

// doctor must not say that nothing is pinned while something is.
func TestEveryPinnedKeyIsTold(t *testing.T) {
	p := pinnedFile{}
	require.Empty(t, p.settled())
	v := reflect.ValueOf(&p).Elem()
	tagged := 0
	for i := range v.NumField() {
		if key := v.Type().Field(i).Tag.Get("yaml"); key != "" {
			if tagged++; v.Field(i).Kind() == reflect.String {
				v.Field(i).SetString("x")
			} else {
				v.Field(i).Set(reflect.ValueOf([]string{"x"}))
			}
			require.Contains(t, p.settled(), key+" x")
		}
	}
	require.Len(t, p.settled(), tagged)
}
