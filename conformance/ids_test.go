package conformance

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/code"
)

// requirements lists every id of the design, and every code.
func requirements() []string {
	var ids []string
	for _, area := range []struct {
		letter string
		last   int
	}{{"O", 16}, {"X", 16}, {"W", 6}, {"P", 17}, {"H", 6}} {
		for n := range area.last {
			ids = append(ids, fmt.Sprintf("%s-%02d", area.letter, n+1))
		}
	}
	for _, e := range code.Table() {
		ids = append(ids, string(e.Code))
	}
	return ids
}

// unreached says of ids why no case can show them through the command. Tests
// elsewhere do.
func unreached() map[string]string {
	return map[string]string{
		"instance_invalid":           "a definition whose isolation and instance disagree is refused as service_invalid before policy sees it; only a library's caller gets there (rego/launch/rules/request_test.rego)",
		"definition_owner_untrusted": "the services directory refuses a file of another owner before policy sees it; only a library's caller gets there (rego/launch/rules/definition_test.rego)",
		"unsupported":                "the command offers nothing on Linux that it cannot do",
		"failed":                     "it stands for errors of the system that have no code of their own",
		"launcher_failed":            "it is for launchers that a library's caller plugs in (spawner.Func)",
		"policy_undefined":           "the library's entry point always has a value; the engine's own tests replace it",
		"measure_failed":             "it takes a file that can be opened and not read, which no file system at hand gives",
	}
}

func TestEveryRequirementHasACase(t *testing.T) {
	cases, err := Load("")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(cases), 250)
	shown := map[string]bool{}
	for _, c := range cases {
		for _, id := range c.Requires {
			shown[id] = true
			require.Contains(t, requirements(), id, "%s requires what nobody asks for", c.ID)
		}
	}
	var missing []string
	for _, id := range requirements() {
		if !shown[id] && unreached()[id] == "" {
			missing = append(missing, id)
		}
	}
	require.Empty(t, missing, "no case shows these")
	for id := range unreached() {
		require.Contains(t, requirements(), id)
		require.False(t, shown[id], "%s has a case: take it out of the list of what has none", id)
	}
}

// Every area has cases in which something is launched or admitted, and cases in
// which it is not.
func TestEveryAreaAllowsAndDenies(t *testing.T) {
	cases, err := Load("")
	require.NoError(t, err)
	for _, letter := range []string{"O", "X", "W", "P", "H"} {
		allows, denies := false, false
		for _, c := range cases {
			if !slices.ContainsFunc(c.Requires, func(id string) bool { return id[:2] == letter+"-" }) {
				continue
			}
			for _, s := range c.Steps {
				if s.Expect == nil {
					continue
				}
				good := slices.Contains([]string{"launched", "allowed", "reused"}, s.Expect.Outcome)
				allows = allows || good
				denies = denies || !good && s.Expect.Exit != nil && *s.Expect.Exit != 0
			}
		}
		require.True(t, allows && denies, letter)
	}
}
