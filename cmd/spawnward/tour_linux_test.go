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

	var said string
	for _, block := range blocks[4:] {
		if strings.Contains(block, "team-policy") {
			out, status = run("set -e\n" + block)
			require.Zero(t, status, out)
			said += out
		}
	}
	require.Regexp(t, `(?s)first bundle "site".*allowed .*built +team.index.*signed +team.index.*allowed `, said)
}

// TestREADMEFirstHook types in the first hook, where a user's own files stand where
// they do for a new user, and then the one that is written by oneself.
func TestREADMEFirstHook(t *testing.T) {
	if raceDetector {
		t.Skip("a hook that the Go tool built needs more than its second under the race detector; go test without it types this in")
	}
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

// session is the README's recorded session: what was typed and what was shown.
func session(t *testing.T) (commands []string, shown [][]string) {
	t.Helper()
	data, err := os.ReadFile(readme)
	require.NoError(t, err)
	m := regexp.MustCompile("(?s)<!-- session -->\n```console\n(.*?)```").FindSubmatch(data)
	require.NotNil(t, m)
	for line := range strings.Lines(string(m[1])) {
		line = strings.TrimSuffix(line, "\n")
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			commands, shown = append(commands, command), append(shown, nil)
			continue
		}
		shown[len(shown)-1] = append(shown[len(shown)-1], line)
	}
	return commands, shown
}

// stable takes from a line what differs from one run to the next: digests, ids,
// process numbers, times, the width of columns, and the lines of the library's
// rules.
func stable(line string) string {
	for _, r := range []struct{ from, to string }{
		{`[0-9a-f]{12,}`, "H"}, {`\d{4}-\d\d-\d\dT[\d:]+Z`, "DATE"}, {`rego:\d+`, "rego:N"}, {`\b\d+(\.\d+)?(µs|ms|s)\b`, "TIME"},
		{`\b\d{2,8}( |$)`, "N$1"}, {` +`, " "},
	} {
		line = regexp.MustCompile(r.from).ReplaceAllString(line, r.to)
	}
	return strings.TrimSpace(line)
}

// shows tells whether lines are as recorded, where a "…" stands for any lines or
// for the end of one.
func shows(recorded, lines []string) bool {
	if len(recorded) == 0 {
		return len(lines) == 0
	}
	if recorded[0] == "…" {
		for skip := range len(lines) + 1 {
			if shows(recorded[1:], lines[skip:]) {
				return true
			}
		}
		return false
	}
	if len(lines) == 0 {
		return false
	}
	want, cut := strings.CutSuffix(recorded[0], "…")
	want, got := stable(want), stable(lines[0])
	return (want == got || cut && strings.HasPrefix(got, want)) && shows(recorded[1:], lines[1:])
}

// TestREADMESession types in the recorded session and compares what is shown.
func TestREADMESession(t *testing.T) {
	needServer(t, "/usr/bin/redis-server")
	needServer(t, "/usr/bin/redis-cli")
	b := newBench(t)
	commands, shown := session(t)
	require.Greater(t, len(commands), 15)

	// The files of the sections above, and then each command between two marks.
	const mark = "\x1e\n"
	var script strings.Builder
	for _, block := range shellBlocks(t)[2:4] {
		for _, m := range regexp.MustCompile(`(?sm)^(mkdir|chmod|cat > \S+ <<'END')[^\n]*\n(.*?^END\n)?`).FindAllString(block, -1) {
			script.WriteString(m)
		}
	}
	for _, c := range commands {
		script.WriteString("printf '\\036\\n'\n" + strings.ReplaceAll(c, "/run/user/1000", b.run) + "\n")
	}
	c := exec.Command("bash", "-uc", script.String())
	c.Dir = t.TempDir()
	c.Env = append(b.cmd().Env, "PATH="+filepath.Dir(b.command)+":/usr/bin:/bin")
	out, err := c.CombinedOutput()
	require.NoError(t, err, "%s", out)
	text := strings.NewReplacer(b.services, "/home/ann/.config/running-process/services", b.run, "/run/user/1000").Replace(string(out))
	parts := strings.Split(text, mark)[1:]
	require.Len(t, parts, len(commands), "%s", text)
	for i, part := range parts {
		var lines []string
		if part != "" {
			lines = strings.Split(strings.TrimSuffix(part, "\n"), "\n")
		}
		require.True(t, shows(shown[i], lines), "$ %s\n%s", commands[i], part)
	}
	b.empty()
}

func TestASessionIsHeldToWhatIsShown(t *testing.T) {
	lines := []string{"launched  a@1.0.0", "  pid  4711", "  took  1.20ms", "", "done 0123456789abcdef"}
	for _, ok := range [][]string{
		{"launched a@1.0.0", "  pid 27", "  took 300.11ms", "", "done fedcba9876543210"},
		{"launched…", "…", "done…"},
		{"…"},
	} {
		require.True(t, shows(ok, lines), "%q", ok)
	}
	for _, no := range [][]string{{}, {"launched"}, {"denied a@1.0.0", "…"}, {"launched a@1.0.1", "…"}, {"…", "other"}, {"…", "done…", "x"}} {
		require.False(t, shows(no, lines), "%q", no)
	}
}
