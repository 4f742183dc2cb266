package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// leaves are the commands that do something, by what is typed.
func leaves(path string, list []*command) map[string]*command {
	out := map[string]*command{}
	for _, c := range list {
		name := strings.TrimSpace(path + " " + c.name)
		if len(c.subs) > 0 {
			for k, v := range leaves(name, c.subs) {
				out[k] = v
			}
		} else if !c.hidden {
			out[name] = c
		}
	}
	return out
}

// schemaTable is rego/README's table: what is typed, and the schemas.
func schemaTable(t *testing.T) map[string][]string {
	t.Helper()
	data, err := os.ReadFile("../../rego/README.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(data), "| command | schema |\n|---|---|\n")
	require.True(t, found)
	table, _, _ := strings.Cut(strings.TrimSpace(rest), "\n\n")
	out := map[string][]string{}
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "| "), " | ")
		require.Len(t, cells, 2, line)
		for name := range strings.SplitSeq(strings.ReplaceAll(cells[0], "`", ""), ", ") {
			out[name] = strings.Split(strings.ReplaceAll(cells[1], "`", ""), ", ")
		}
	}
	return out
}

// Every command has an example, and a published schema for what it prints.
func TestEveryCommandHasAnExampleAndASchema(t *testing.T) {
	table := schemaTable(t)
	commands := leaves("", newApp(nil, io.Discard, io.Discard).commands())
	for name, c := range commands {
		require.NotEmpty(t, c.short, name)
		require.Contains(t, c.example, "spawnward "+name, name)
		if c.text {
			require.NotContains(t, table, name)
			continue
		}
		require.NotEmpty(t, table[name], "rego/README.md names no schema for %s", name)
	}
	for name, schemas := range table {
		require.Contains(t, commands, name)
		for _, s := range schemas {
			require.FileExists(t, filepath.Join("../../rego/schema", s))
		}
	}
}

// What no other test holds to its schema.
func TestSmallOutputsMatchTheirSchemas(t *testing.T) {
	b := newBench(t)
	dir := t.TempDir()
	failing := func(args ...string) []byte {
		out, err := b.cmd(args...).Output()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
		return out
	}
	file := filepath.Join(dir, "app.yaml")
	require.NoError(t, os.WriteFile(file, []byte("service_name: app\nbinary_path: /bin/true\nper_version_binary_dir: /bin\n"), 0o600))
	matches(t, "service_add", b.ok("service", "add", "-o", "json", file))
	matches(t, "service_list", b.ok("service", "list", "-o", "json"))
	require.Equal(t, "app\n", string(b.ok("service", "list", "-o", "name")))
	matches(t, "service_validate", b.ok("service", "validate", "-o", "json", file))
	matches(t, "service_validate", failing("service", "validate", "-o", "json", file, filepath.Join(dir, "none.yaml")))
	matches(t, "log_head", b.ok("log", "show", "--head", "-o", "json"))
	failing("launch", "--binary", filepath.Join(dir, "none"), "--root", dir, "app@1.0.0")
	matches(t, "log_head", b.ok("log", "show", "--head", "-o", "json"))
	matches(t, "log_report", b.ok("log", "report", "--html", filepath.Join(dir, "r.html"), "-o", "json"))
	matches(t, "hook_init", b.ok("hook", "init", "-o", "json", filepath.Join(dir, "hook")))
	matches(t, "version", b.ok("version", "-o", "json"))
	matches(t, "conformance_list", b.ok("conformance", "--list", "-o", "json"))

	run := b.cmd("hook", "run", "../../wasm/examples/region/region.wasm")
	run.Stdin = strings.NewReader(`{"v":1,"service":"app","version":"1.0.0","instance":"private:app","binary":{"path":"/b","sha256":""},"args":[],"env":{},"labels":{},"config":{"zone":"eu"}}`)
	reply, err := run.Output()
	require.NoError(t, err)
	matches(t, "hook_reply", reply)

	for _, args := range [][]string{
		{"demo", "-o", "json"},
		{"ps", "extra"}, {"service", "show", "none"}, {"policy", "test", dir}, {"hook", "check", filepath.Join(dir, "none")},
		{"log", "verify", "--log", filepath.Join(dir, "none")}, {"probe", "app"}, {"policy", "sign", "--key", file, file}, {"version", "--nothing"},
	} {
		matches(t, "error", failing(append(args, "-o", "json")...))
	}
}

// A variable of the shell that is not set must not stand for a default.
func TestEmptyArgumentsAreRefused(t *testing.T) {
	b := newBench(t)
	for _, args := range [][]string{
		{"policy", "check", ""}, {"policy", "build", "--out", "", "site"}, {"policy", "diff", "", ""}, {"catalog", "list", ""}, {"hook", "check", ""},
		{"service", "add", ""}, {"check", "--services", "", "app"}, {"check", "--verification-key", "", "app"}, {"launch", "--binary", "", "app"},
		{"ps", "--state", ""}, {"log", "verify", "--log", ""}, {"log", "verify", "--head", ""}, {"conformance", "--launcher", ""}, {"stop", ""},
	} {
		c := b.cmd(args...)
		out, err := c.CombinedOutput()
		require.Error(t, err)
		require.Equal(t, 2, c.ProcessState.ExitCode(), "%v: %s", args, out)
		require.Contains(t, string(out), "empty", "%v", args)
	}
	out, _ := b.cmd("check", "--traceparent", "", "--tracestate", "", "--request-id", "", "app").CombinedOutput()
	require.Contains(t, string(out), "service_unknown") // what a request did not bring is handed on as nothing
}

func TestLogFiltersSuggest(t *testing.T) {
	b := newBench(t)
	for args, want := range map[string]string{
		"--outcome denyed":               `did you mean "denied"`,
		"--code binary_outsid_allow_roo": `did you mean "binary_outside_allow_root"`,
		"--log /nonexistent":             "no such file",
	} {
		out, err := b.cmd(append([]string{"log", "show"}, strings.Fields(args)...)...).CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), want)
	}
	require.Contains(t, string(b.ok("log", "show", "--code", "site_of_a_team")), "nothing of that kind")
	_, err := b.cmd("launch", "--binary", "/nonexistent", "--root", "/nonexistent", "redis@1.0.0").Output()
	require.Error(t, err)
	require.Contains(t, string(b.ok("log", "show", "--service", "reddis")), `did you mean "redis"?`)
}
