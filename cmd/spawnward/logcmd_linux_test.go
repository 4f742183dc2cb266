package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/decisionlog"
)

func (b *bench) logFile() string {
	b.t.Helper()
	found, err := filepath.Glob(filepath.Join(b.state, "spawnward", "*", "log", decisionlog.Current))
	require.NoError(b.t, err)
	require.Len(b.t, found, 1)
	return found[0]
}

func (b *bench) fails(args ...string) (stdout, stderr []byte, status int) {
	b.t.Helper()
	c := b.cmd(args...)
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.Output()
	var exit *exec.ExitError
	require.ErrorAs(b.t, err, &exit, "%s", errs.String())
	return out, errs.Bytes(), exit.ExitCode()
}

// logLine holds one line against its schema, and its parts against theirs.
func logLine(t *testing.T, text string) {
	t.Helper()
	matches(t, "log", []byte(text))
	var e struct {
		Event  string
		Input  map[string]any
		Result json.RawMessage
	}
	require.NoError(t, json.Unmarshal([]byte(text), &e))
	if e.Event != decisionlog.KindDecision {
		return
	}
	for _, list := range []any{e.Input["env"], e.Input["env_facts"].(map[string]any)["foreign"]} {
		for _, v := range list.([]any) {
			require.NotContains(t, v, "value")
			v.(map[string]any)["value"] = ""
		}
	}
	input, err := json.Marshal(e.Input)
	require.NoError(t, err)
	matches(t, "input", input)
	if e.Result != nil {
		matches(t, "decision", e.Result)
	}
}

func TestDecisionLog(t *testing.T) {
	b := newBench(t)
	binary, root := b.backend()
	secret := "env: {TOKEN: a-very-secret-value}"
	def := "service_name: app\nbinary_path: " + binary + "\nper_version_binary_dir: " + root + "\nmin_version: 1.0.0\nlaunch:\n  args: [scripted-backend, good]\n  " + secret + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(b.services, "app.yaml"), []byte(def), 0o600))

	matches(t, "log_show", b.ok("log", "show", "-o", "json"))
	b.ok("check", "app@1.0.0")
	require.Equal(t, "[]\n", string(b.ok("log", "show", "-o", "json")), "a check leaves nothing")
	b.ok("launch", "app@1.0.0")
	_, _, status := b.fails("launch", "app@0.1.0")
	require.Equal(t, 3, status)
	_, _, status = b.fails("launch", "--binary", binary, "--root", root, "app@1.0.0", "--", "scripted-backend", "exit:3")
	require.Equal(t, 7, status)
	b.ok("stop", "app")

	text, err := os.ReadFile(b.logFile())
	require.NoError(t, err)
	require.NotContains(t, string(text), "a-very-secret-value")
	require.Contains(t, string(text), `"TOKEN"`)
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	require.Len(t, lines, 6)
	for _, line := range lines {
		logLine(t, line)
	}

	all := b.ok("log", "show", "-o", "json")
	matches(t, "log_show", all)
	var rows []logRow
	require.NoError(t, json.Unmarshal(all, &rows))
	require.Len(t, rows, 3)
	require.Equal(t, []string{"launched", "denied", "failed"}, []string{rows[0].Outcome, rows[1].Outcome, rows[2].Outcome})
	require.Equal(t, "version_below_minimum", string(rows[1].Codes[0]))
	require.Positive(t, rows[0].PID)
	one := b.ok("log", "show", "-o", "json", "--decision", rows[0].DecisionID[:8])
	matches(t, "log_show", one)
	require.NoError(t, json.Unmarshal(one, &rows))
	require.Len(t, rows, 1)
	require.Len(t, rows[0].Events, 2)
	for flag, want := range map[string]int{
		"--service=app": 3, "--service=other": 0, "--code=exited_early": 1, "--outcome=denied": 1, "--since=1h": 3, "--since=7d": 3,
		"--until=1h": 0, "--since=2999-01-01": 0, "--until=2999-01-01": 3,
	} {
		require.NoError(t, json.Unmarshal(b.ok("log", "show", "-o", "json", flag), &rows))
		require.Len(t, rows, want, flag)
	}
	_, _, status = b.fails("log", "show", "--since", "yesterday")
	require.Equal(t, 2, status)

	head := strings.TrimSpace(string(b.ok("log", "show", "--head")))
	b.ok("launch", "app@1.0.0")
	v := b.ok("log", "verify", "-o", "json", "--head", head)
	matches(t, "log_verify", v)
	require.Contains(t, string(b.ok("log", "verify", "--head", head)), "2 lines after it")

	// Somebody edits a denial away.
	text, err = os.ReadFile(b.logFile())
	require.NoError(t, err)
	copied := filepath.Join(root, "copy")
	require.NoError(t, os.WriteFile(copied, text, 0o600))
	require.NoError(t, os.WriteFile(b.logFile(), bytes.Replace(text, []byte(`"verdict":"denied"`), []byte(`"verdict":"allowed"`), 1), 0o600))
	out, errs, status := b.fails("log", "verify", "-o", "json")
	require.Equal(t, 1, status)
	matches(t, "log_verify", out)
	require.Contains(t, string(errs), decisionlog.Current+":4: ")
	require.Contains(t, string(errs), "log_broken")
	b.ok("log", "verify", "--head", head, copied)
	_, _, status = b.fails("log", "verify", "--head", "sha256:short")
	require.Equal(t, 2, status)
	_, _, status = b.fails("log", "verify", filepath.Join(root, "nothing"))
	require.Equal(t, 1, status)
	b.ok("stop", "app")
}

// A log that cannot be written denies, unless the configuration says otherwise;
// one inside the allow-root always does.
func TestLaunchNeedsItsLog(t *testing.T) {
	b := newBench(t)
	binary, root := b.backend()
	args := func(more ...string) []string {
		return append(append([]string{"launch"}, more...), "--binary", binary, "--root", root, "app@1.0.0", "--", "scripted-backend", "good")
	}
	site := filepath.Join(filepath.Dir(b.services), "site-policy")
	require.NoError(t, os.Mkdir(site, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(site, "data.yaml"), []byte("config: {log: {on_failure: warn}}\n"), 0o600))
	blocked := filepath.Join(filepath.Dir(b.services), "blocked")
	require.NoError(t, os.WriteFile(blocked, nil, 0o600))

	_, errs, status := b.fails(args("--log", blocked)...)
	require.Equal(t, 4, status)
	require.Contains(t, string(errs), "log_failed")
	b.empty() // nothing of the launch has begun
	_, errs, status = b.fails(append([]string{"launch", "--log", blocked, "--binary", binary, "--root", "/usr/bin", "app@1.0.0"}, "--")...)
	require.Equal(t, 3, status, "a denial stays one")
	require.Contains(t, string(errs), "log_failed")

	out, errs, status := b.fails(args("-o", "json", "--log", filepath.Join(root, "log"), "--policy", site)...)
	require.Equal(t, 4, status)
	require.Contains(t, string(errs), "log_in_allow_root")
	matches(t, "launch", out)
	b.empty()

	c := b.cmd(args("-o", "json", "--log", blocked, "--policy", site)...)
	var warning bytes.Buffer
	c.Stderr = &warning
	out, err := c.Output()
	require.NoError(t, err, warning.String())
	require.Contains(t, warning.String(), "warning: log_failed")
	matches(t, "launch", out)
	b.ok("stop", "app")
}
