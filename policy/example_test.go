package policy

import (
	"bytes"
	"context"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"
	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/rego"
)

// exampleFiles is the site that teams begin with.
func exampleFiles(t testing.TB) files {
	t.Helper()
	out := files{}
	require.NoError(t, fs.WalkDir(rego.Example, "example", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := rego.Example.ReadFile(name)
		out[strings.TrimPrefix(name, "example/")] = string(text)
		return err
	}))
	return out
}

func TestExampleIsASite(t *testing.T) {
	dir := writeSite(t, exampleFiles(t))
	e, err := Load(context.Background(), Options{Path: dir, Deadline: patience})
	require.NoError(t, err)
	require.Empty(t, e.Warnings())
	d, err := e.Decide(context.Background(), goodInput())
	require.NoError(t, err)
	require.True(t, d.Allow)

	r, err := Test(context.Background(), dir, TestOptions{Coverage: true})
	require.NoError(t, err)
	for _, result := range r.Results {
		require.Equal(t, "passed", result.Outcome, "%s %s\n%s", result.Place, result.Name, result.Detail)
	}
	require.Equal(t, 7, r.Passed)
	require.InDelta(t, 100.0, r.Coverage.Percent, 0.001, "%v", r.Coverage.Missing)
}

// A team that begins with the example begins with what holds without a site, and
// sees every setting.
func TestExampleWritesTheDefaultsOut(t *testing.T) {
	site, err := assemble([]source{{"data.yaml", []byte(exampleFiles(t)["data.yaml"])}})
	require.NoError(t, err)
	embedded := embedded().config
	for key, want := range embedded {
		switch key {
		case "defaults", "services":
			continue
		}
		require.Equal(t, want, site.config[key], key)
	}
	own := site.config["defaults"].(document)
	for section, want := range embedded["defaults"].(document) {
		require.Contains(t, own, section)
		for key, value := range want.(document) {
			if section == "confine" || section == "env" && key == "deny" {
				continue // what it leaves out holds, and deny-lists add
			}
			require.Contains(t, own[section], key, "%s.%s", section, key)
			require.Equal(t, value, own[section].(document)[key], "%s.%s", section, key)
		}
	}
}

// What stands in the example behind a comment sign is right when it is taken away.
func TestCommentedSettingsOfTheExample(t *testing.T) {
	text := exampleFiles(t)["data.yaml"]
	digest := strings.Repeat("a", 64)
	for _, line := range strings.Split(text, "\n") {
		bare := strings.TrimLeft(line, " ")
		setting, ok := strings.CutPrefix(bare, "# ")
		key, _, isSetting := strings.Cut(setting, ": {")
		if !ok || !isSetting || strings.ContainsAny(key, " .") {
			continue
		}
		indent := line[:len(line)-len(bare)]
		lines := strings.Split(text, "\n")
		for i, l := range lines {
			if strings.HasPrefix(l, indent+key+":") {
				lines[i] = indent + strings.ReplaceAll(setting, "<sha256>", digest)
			}
		}
		_, err := loadSite(t, files{"data.yaml": strings.Join(lines, "\n"), "site/change/change.rego": exampleFiles(t)["site/change/change.rego"]})
		require.NoError(t, err, setting)
	}
}

func TestRegoExampleIsFormatted(t *testing.T) {
	for name, text := range exampleFiles(t) {
		if filepath.Ext(name) != ".rego" {
			continue
		}
		want, err := format.SourceWithOpts(name, []byte(text), format.Opts{RegoVersion: ast.RegoV1})
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, []byte(text)), "%s is not formatted; run opa fmt on it\n%s", name, want)
	}
}

// What data.yaml shows in comments is right too.
func TestExamplesInComments(t *testing.T) {
	f := exampleFiles(t)
	digest := strings.Repeat("a", 64)
	f["data.yaml"] = strings.NewReplacer("require_grants: []", "", "# require_grants: [", "require_grants: [", "      # digests:", "      digests:",
		"      #   ", "        ", "<sha256>", digest, "waivers: {}\n", "waivers:\n").Replace(f["data.yaml"])
	f["data.yaml"] = strings.ReplaceAll(f["data.yaml"], "\n#  ", "\n  ")
	require.Contains(t, f["data.yaml"], "\n  W-17:\n    code: binary_hard_links\n")
	f["data.yaml"] = strings.ReplaceAll(f["data.yaml"], "2027-", "2099-")
	e, err := Load(context.Background(), Options{Path: writeSite(t, f), Deadline: patience})
	require.NoError(t, err)
	require.Len(t, e.waivers, 1)
	in := goodInput()
	in.Service.Labels["ticket"] = "CHG-1"
	d, err := e.Decide(context.Background(), in)
	require.NoError(t, err)
	require.True(t, d.Allow, "%v", d.Violations)
}

func TestFailingTests(t *testing.T) {
	f := exampleFiles(t)
	f["site/change/change_test.rego"] = `package site.change_test

import rego.v2

import data.launch.fixture
import data.site.change

test_wrong if {
	print("said", 1)
	grants := change.grant with input as object.union(fixture.launch, {"service": {"labels": {"ticket": "CHG-1"}}})
	grants == {"other"}
}

test_error if to_number("x") == 1

todo_test_later if false

test_table[name] if {
	some name, ticket in {"good": "CHG-1", "bad": "soon"}
	change.grant == {"change_ticket"} with input as object.union(fixture.launch, {"service": {"labels": {"ticket": ticket}}})
}
`
	r, err := Test(context.Background(), writeSite(t, f), TestOptions{Run: "change"})
	require.NoError(t, err)
	require.Len(t, r.Results, 4)
	require.Equal(t, []int{0, 3, 1}, []int{r.Passed, r.Failed, r.Skipped})
	wrong := r.Results[0]
	require.Equal(t, "site/change/change_test.rego:8", wrong.Place)
	require.Equal(t, "said 1", wrong.Output)
	require.Contains(t, wrong.Detail, "site/change/change_test.rego:11\n")
	require.Contains(t, wrong.Detail, `grants == {"other"}`)
	require.Contains(t, wrong.Detail, `{"change_ticket"}`)
	require.Equal(t, "error", r.Results[1].Outcome)
	require.Contains(t, r.Results[1].Detail, "to_number")

	f["site/change/change_test.rego"] = "package site.change_test\n\nimport rego.v2\n\ntest_x if true\n"
	r, err = Test(context.Background(), writeSite(t, f), TestOptions{Run: "change", Coverage: true})
	require.NoError(t, err)
	require.Less(t, r.Coverage.Percent, 50.0)
	require.Contains(t, r.Coverage.Missing, "site/change/change.rego:10")

	for text, want := range map[string]string{
		"package launch.main\n\ntest_x := 1":                                          "site.<area>_test",
		"package site.x_test\n\ntest_x if http.send({})":                              "undefined function http.send",
		"package site.x_test\n\ntest_x if data.site.change.grant with data.site as 1": "",
	} {
		f["site/change/change_test.rego"] = text
		_, err = Test(context.Background(), writeSite(t, f), TestOptions{})
		if want != "" {
			require.ErrorContains(t, err, want)
		}
	}
	_, err = Test(context.Background(), writeSite(t, files{"data.yaml": ""}), TestOptions{})
	require.ErrorContains(t, err, "no test was found")
	_, err = Test(context.Background(), writeSite(t, files{"data.yaml": "confg: {}"}), TestOptions{})
	require.ErrorContains(t, err, "data.yaml:1")
}

func TestRules(t *testing.T) {
	rules, err := Rules(context.Background(), writeSite(t, exampleFiles(t)))
	require.NoError(t, err)
	require.Len(t, rules, len(libraryCodes())+2)
	require.Equal(t, "binary_path_empty", string(rules[0].Code))
	last := rules[len(rules)-1]
	require.Equal(t, "site_team_label_missing", string(last.Code))
	require.Equal(t, "site/ownership/ownership.rego:8", last.Place)
	require.NotEmpty(t, last.Title)
}
