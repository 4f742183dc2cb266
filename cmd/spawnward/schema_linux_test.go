package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	oparego "github.com/open-policy-agent/opa/v1/rego"
	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner"
	"github.com/spawnward/spawnward/spawner/process"
)

// matches demands that a document has the form of a published schema.
func matches(t *testing.T, schema string, document []byte) {
	t.Helper()
	text, err := os.ReadFile("../../rego/schema/" + schema + ".json")
	require.NoError(t, err)
	var form, doc any
	require.NoError(t, json.Unmarshal(text, &form))
	require.NoError(t, json.Unmarshal(document, &doc), "%s", document)
	rs, err := oparego.New(
		oparego.Query(`x := json.match_schema(input.document, input.schema)`),
		oparego.Input(map[string]any{"document": doc, "schema": form}),
	).Eval(t.Context())
	require.NoError(t, err)
	require.Len(t, rs, 1)
	result := rs[0].Bindings["x"].([]any)
	require.Equal(t, true, result[0], "%s: %v\n%s", schema, result[1], document)
}

// TestOutputMatchesTheSchemas holds what the commands print to what is
// published.
func TestOutputMatchesTheSchemas(t *testing.T) {
	b := newBench(t)
	binary, root := b.backend()
	args := []string{"-o", "json", "--binary", binary, "--root", root, "app@1.0.0", "--", "scripted-backend"}
	launch := func(verb, part string) []string { return append(append([]string{verb}, args...), part) }
	failing := func(args ...string) []byte {
		out, err := b.cmd(args...).Output()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
		return out
	}
	matches(t, "check", b.ok(launch("check", "good")...))
	matches(t, "launch", b.ok(launch("launch", "good")...))
	matches(t, "ps", b.ok("ps", "-o", "json"))
	matches(t, "probe", b.ok("probe", "-o", "json", "app"))
	records, err := filepath.Glob(filepath.Join(b.state, "spawnward", "*", "backends", "*.json"))
	require.NoError(t, err)
	require.Len(t, records, 1)
	record, err := os.ReadFile(records[0])
	require.NoError(t, err)
	matches(t, "record", record)
	matches(t, "stop", b.ok("stop", "-o", "json", "app"))
	matches(t, "stop", b.ok("stop", "-o", "json", "app"))
	matches(t, "ps", b.ok("ps", "-o", "json"))
	matches(t, "launch", failing(launch("launch", "exit:3")...))
	matches(t, "launch", failing("launch", "-o", "json", "--binary", binary, "--root", "/usr/bin", "app@1.0.0"))
	matches(t, "check", failing("check", "-o", "json", "--binary", binary, "--root", "/usr/bin", "app@1.0.0"))
	matches(t, "launch", failing("launch", "-o", "json", "nothing@1.0.0"))

	matches(t, "doctor", b.ok("doctor", "-o", "json"))

	var r spawner.Report
	require.NoError(t, json.Unmarshal(b.ok(launch("launch", "good")...), &r))
	require.NoError(t, syscall.Kill(r.Identity.PID, syscall.SIGKILL))
	require.Eventually(t, func() bool {
		st, err := process.ReadStat(r.Identity.PID)
		return err != nil || st.State == 'Z'
	}, 20*time.Second, time.Millisecond)
	matches(t, "ps", b.ok("ps", "-o", "json"))
	matches(t, "probe", failing("probe", "-o", "json", "app"))
	matches(t, "stop", b.ok("stop", "-o", "json", "app"))
	b.empty()
	broken := filepath.Join(filepath.Dir(records[0]), "app@1.0.0@00000000000000000000000000000000.json")
	require.NoError(t, os.WriteFile(broken, []byte("{}"), 0o600))
	matches(t, "ps", b.ok("ps", "-o", "json"))
	failing("stop", "app")
	require.FileExists(t, broken)

	def := filepath.Join(b.services, "app.yaml")
	text := "service_name: app\nbinary_path: " + binary + "\nper_version_binary_dir: " + root + "\nlaunch:\n  env: {A: b}\n  files: [{name: f, content: c}]\n"
	require.NoError(t, os.WriteFile(def, []byte(text), 0o600))
	matches(t, "service", b.ok("service", "show", "-o", "json", "app"))
	matches(t, "service", b.ok("service", "convert", "--to", "json", def))
	confined := text + "  confine: {nice: 3, oom_score_adj: 5, drop_caps: all, limits: {nofile: 64, core: {soft: 0, hard: 1}}, landlock: {read: [/etc]}}\n"
	require.NoError(t, os.WriteFile(def, []byte(confined), 0o600))
	matches(t, "service", b.ok("service", "show", "-o", "json", "app"))
	check, _ := b.cmd("check", "-o", "json", "app@1.0.0").Output() // a kernel without Landlock has a report as well
	matches(t, "check", check)
}
