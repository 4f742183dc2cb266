package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/service"
)

// shellBlocks are the README's commands, in order.
func shellBlocks(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile(readme)
	require.NoError(t, err)
	var out []string
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(data), -1) {
		out = append(out, m[1])
	}
	return out
}

// TestREADMETour types in what the README has a new user type.
func TestREADMETour(t *testing.T) {
	needServer(t, "/usr/bin/redis-server")
	b := newBench(t)
	dir := t.TempDir()
	run := func(block string) (string, int) {
		script := strings.ReplaceAll(block, "go install ./cmd/spawnward\n", "") // the test's own binary is in the PATH
		c := exec.Command("bash", "-uc", script)
		c.Dir = dir
		c.Env = append(b.cmd().Env, "PATH="+filepath.Dir(b.command)+":/usr/bin:/bin")
		out, err := c.CombinedOutput()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return string(out), exit.ExitCode()
		}
		require.NoError(t, err)
		return string(out), 0
	}
	blocks := shellBlocks(t)
	require.GreaterOrEqual(t, len(blocks), 4)

	out, status := run(blocks[2])
	require.Zero(t, status, out)
	for _, want := range []string{"added ", "allowed ", "launched ", "live", "stopped redis@7.0.15"} {
		require.Contains(t, out, want)
	}
	b.empty()

	out, status = run(blocks[3])
	require.Equal(t, 3, status, out)
	require.Contains(t, out, "digest_not_listed")
	require.Contains(t, out, "site_team_label_missing")

	for _, block := range blocks[4:] {
		if strings.Contains(block, "team-policy") {
			out, status = run("set -e\n" + block)
			require.Zero(t, status, out)
		}
	}
	require.Contains(t, out, `first bundle "site"`)
	require.Contains(t, out, "allowed ")
}

// TestREADMEFirstHook types in the first hook, where a user's own files stand where
// they do for a new user, and then the one that is written by oneself.
func TestREADMEFirstHook(t *testing.T) {
	needServer(t, "/usr/bin/redis-server")
	b := newBench(t)
	dir, home := t.TempDir(), t.TempDir()
	repository, err := filepath.Abs(filepath.Dir(readme))
	require.NoError(t, err)
	require.NoError(t, os.Symlink(filepath.Join(repository, "wasm"), filepath.Join(dir, "wasm")))
	goTool, err := exec.LookPath("go")
	require.NoError(t, err)
	cache, err := exec.Command(goTool, "env", "GOCACHE").Output()
	require.NoError(t, err)
	typed := map[string]string{}
	for _, block := range shellBlocks(t) {
		for _, with := range []string{"service add redis.yaml", "region/region.wasm", "hook init"} {
			if !strings.Contains(block, with) {
				continue
			}
			c := exec.Command("bash", "-euc", strings.ReplaceAll(block, "go install ./cmd/spawnward\n", ""))
			c.Dir = dir
			c.Env = []string{"HOME=" + home, "XDG_RUNTIME_DIR=" + b.run, "XDG_STATE_HOME=" + b.state, "GOCACHE=" + strings.TrimSpace(string(cache)),
				"PATH=" + filepath.Dir(b.command) + ":" + filepath.Dir(goTool) + ":/usr/bin:/bin"}
			out, err := c.CombinedOutput()
			require.NoError(t, err, "%s", out)
			typed[with] += string(out)
		}
	}
	require.Regexp(t, `(?s)within the limits.*allowed .*APP_REGION +hook:region\n.*region +ran.*launched .*stopped redis`, typed["region/region.wasm"])
	require.Regexp(t, `(?s)wrote region.*within the limits.*"APP_REGION": "eu"`, typed["hook init"])
	b.empty()
}

// TestREADMEDefinitionsAreValid parses every definition that the README shows.
func TestREADMEDefinitionsAreValid(t *testing.T) {
	data, err := os.ReadFile(readme)
	require.NoError(t, err)
	found := 0
	for _, m := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(data), -1) {
		if strings.Contains(m[1], "service_name:") {
			_, err := service.Parse([]byte(m[1]), service.YAML)
			require.NoError(t, err)
			found++
		}
	}
	require.Equal(t, 1, found)
}
