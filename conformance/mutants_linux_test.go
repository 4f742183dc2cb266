package conformance

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/spawnward/spawnward/spawner/code"
)

// mutants reads which cases catch which fault.
func mutants(t *testing.T) map[string][]string {
	text, err := os.ReadFile("mutants.yaml")
	require.NoError(t, err)
	var m map[string][]string
	require.NoError(t, yaml.Unmarshal(text, &m))
	return m
}

// caught demands that every one of the cases fails under a mutant, or is skipped
// with its reason.
func caught(t *testing.T, mutant string, cases []*Case) {
	t.Helper()
	report, err := Run(t.Context(), cases, Options{Program: program(t), Faults: faults(), Mutant: mutant})
	require.NoError(t, err)
	failed := 0
	for _, r := range report.Results {
		require.NotEqual(t, Held, r.Outcome, "%s does not catch %s", r.ID, mutant)
		if r.Outcome == Failed {
			failed++
		}
	}
	if failed == 0 {
		t.Skip(report.Results[0].Reason)
	}
}

// TestMutants breaks one promise after the other: a suite that does not see it is
// worthless.
func TestMutants(t *testing.T) {
	all, err := Load("")
	require.NoError(t, err)
	byID := map[string]*Case{}
	for _, c := range all {
		byID[c.ID] = c
	}
	list := mutants(t)
	require.GreaterOrEqual(t, len(list), 40)
	for _, name := range sortedKeys(list) {
		t.Run(name, func(t *testing.T) {
			var cases []*Case
			for _, id := range list[name] {
				require.Contains(t, byID, id)
				cases = append(cases, byID[id])
			}
			require.NotEmpty(t, cases)
			caught(t, name, cases)
		})
	}
}

// TestEveryRuleIsMissed deletes one denial rule of the library after the other.
func TestEveryRuleIsMissed(t *testing.T) {
	for _, e := range code.Table() {
		if !e.Policy() {
			continue
		}
		t.Run(string(e.Code), func(t *testing.T) {
			if why := unreached()[string(e.Code)]; why != "" {
				t.Skip(why)
			}
			cases, err := Load(string(e.Code))
			require.NoError(t, err)
			report, err := Run(t.Context(), denying(cases, string(e.Code)), Options{Program: program(t), Faults: faults(), Mutant: "rule:" + string(e.Code)})
			require.NoError(t, err)
			require.NotEmpty(t, report.Results, "no case is denied with it")
			failed := report.Counts[Failed]
			require.True(t, failed > 0 || report.Counts[Skipped] > 0, "no case misses the rule")
			if failed == 0 {
				t.Skip(report.Results[0].Reason)
			}
		})
	}
}

// denying keeps the cases that expect a code among the denials, at most three of
// them: one is enough to catch a rule that is gone.
func denying(cases []*Case, c string) []*Case {
	var out []*Case
	for _, one := range cases {
		for _, s := range one.Steps {
			if s.Expect != nil && strings.Contains(strings.Join(append(append(s.Expect.Denials, s.Expect.Contains...), s.Expect.Warnings...), " ")+" ", c+" ") {
				out = append(out, one)
				break
			}
		}
	}
	return out[:min(3, len(out))]
}

// TestMutantsAreInTheCode finds switches that no case is named for, and names
// that no switch has.
func TestMutantsAreInTheCode(t *testing.T) {
	found := map[string]bool{}
	place := regexp.MustCompile(`fault\.Mutant\("([^"]+)"`)
	for _, dir := range []string{"../spawner", "../policy", "../wasm", "../cmd"} {
		require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, m := range place.FindAllStringSubmatch(string(text), -1) {
				found[m[1]] = true
			}
			return err
		}))
	}
	list := mutants(t)
	for name := range found {
		if !strings.HasSuffix(name, "-") && !strings.HasSuffix(name, ":") && !injected(t)[name] {
			require.Contains(t, list, name, "a mutant that no case is named for")
		}
	}
	for name := range list {
		prefix, _, _ := strings.Cut(name, "probe_")
		require.True(t, found[name] || found[prefix] || found["ignore-"], name+" is nowhere in the code")
	}
}

// injected lists the mutants that cases switch on themselves.
func injected(t *testing.T) map[string]bool {
	cases, err := Load("")
	require.NoError(t, err)
	out := map[string]bool{}
	for _, c := range cases {
		for _, s := range c.Steps {
			if s.Fault != nil {
				out[s.Fault.Mutant] = true
			}
		}
	}
	return out
}
