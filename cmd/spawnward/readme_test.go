package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/code"
)

const readme = "../../README.md"

// codesTable is the README's table of codes, made from the one in the code.
func codesTable() string {
	var b strings.Builder
	b.WriteString("| code | exit | level | what to do |\n|---|---|---|---|\n")
	for _, e := range code.Table() {
		level := string(e.Enforcement)
		if level == "" {
			level = "–"
		}
		fmt.Fprintf(&b, "| `%s` | %d | %s | %s |\n", e.Code, e.Exit, level, strings.ReplaceAll(e.Fix, "|", `\|`))
	}
	return b.String()
}

func TestREADMEHasTheTableOfCodes(t *testing.T) {
	data, err := os.ReadFile(readme)
	require.NoError(t, err)
	section := regexp.MustCompile(`(?s)(<!-- codes:[^\n]*-->\n).*(<!-- end of codes -->)`)
	want := section.ReplaceAllString(string(data), "${1}"+strings.ReplaceAll(codesTable(), "$", "$$")+"${2}")
	if flag.Lookup("update").Value.String() == "true" {
		require.NoError(t, os.WriteFile(readme, []byte(want), 0o644))
		return
	}
	require.True(t, want == string(data), "the table is not current; run: go test ./cmd/spawnward -run TestREADME -update")
}

func TestREADMEOpensWithItsTwoCommands(t *testing.T) {
	data, err := os.ReadFile(readme)
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(data), 2)
	require.Equal(t, "go run ./cmd/spawnward demo\n", blocks[0][1])
	require.Equal(t, "go test ./...\n", blocks[1][1])
}

// Where the README shows a rule by file and line, that rule stands there.
func TestREADMENamesRulesByTheirLines(t *testing.T) {
	data, err := os.ReadFile(readme)
	require.NoError(t, err)
	named := regexp.MustCompile(`(launch/rules/\w+\.rego):(\d+)`).FindAllStringSubmatch(string(data), -1)
	require.NotEmpty(t, named)
	for _, m := range named {
		text, err := os.ReadFile("../../rego/" + m[1])
		require.NoError(t, err)
		line, err := strconv.Atoi(m[2])
		require.NoError(t, err)
		lines := strings.Split(string(text), "\n")
		require.LessOrEqual(t, line, len(lines), m[0])
		require.Regexp(t, `^(deny|warn|grant) contains `, lines[line-1], "%s: the README shows a rule there", m[0])
	}
}

func TestCodesAreUnique(t *testing.T) {
	seen := map[code.Code]bool{}
	for _, e := range code.Table() {
		require.False(t, seen[e.Code], e.Code)
		seen[e.Code] = true
		require.NotEmpty(t, e.Fix)
		require.NotEmpty(t, e.Subject)
		require.NotZero(t, e.Exit)
		require.Equal(t, e.Exit, code.Exit(e.Code))
	}
	require.Equal(t, code.ExitDenied, code.Exit("site_x"))
	require.Equal(t, code.ExitOther, code.Exit("nobody knows"))
}
