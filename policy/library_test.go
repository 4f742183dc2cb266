package policy

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/policy/internal/sources"
	"github.com/spawnward/spawnward/rego"
	"github.com/spawnward/spawnward/spawner/code"
)

// libraryFiles is the directory that [rego.Library] embeds, with its tests.
func libraryFiles() fs.FS { return os.DirFS("../rego") }

// What is embedded is everything but the tests, of which one is what a site's begin
// with.
func TestLibraryIsEmbedded(t *testing.T) {
	require.NoError(t, fs.WalkDir(libraryFiles(), "launch", func(name string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		if d.IsDir() || strings.HasSuffix(name, "_test.rego") && path.Base(name) != "fixture_test.rego" {
			return nil
		}
		want, err := fs.ReadFile(libraryFiles(), name)
		require.NoError(t, err)
		have, err := rego.Library.ReadFile(name)
		require.NoError(t, err, "name it in rego/rego.go")
		require.Equal(t, string(want), string(have))
		return nil
	}))
}

// libraryModules parses every module, tests included.
func libraryModules(t *testing.T) map[string]*ast.Module {
	t.Helper()
	modules := map[string]*ast.Module{}
	require.NoError(t, fs.WalkDir(libraryFiles(), "launch", func(name string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		if path.Ext(name) != ".rego" {
			return nil
		}
		text, err := fs.ReadFile(libraryFiles(), name)
		require.NoError(t, err)
		m, err := ast.ParseModuleWithOpts(name, string(text), ast.ParserOptions{ProcessAnnotation: true, RegoVersion: ast.RegoV1})
		require.NoError(t, err)
		modules[name] = m
		return nil
	}))
	return modules
}

func TestRegoTests(t *testing.T) {
	e, err := Load(context.Background(), Options{Deadline: patience})
	require.NoError(t, err)
	plain, err := ast.JSON(wholeOf(t, e).root)
	require.NoError(t, err)
	store := inmem.NewFromObject(plain.(map[string]any))
	txn, err := store.NewTransaction(context.Background(), storage.WriteParams)
	require.NoError(t, err)
	defer store.Abort(context.Background(), txn)

	results, err := tester.NewRunner().SetStore(store).CapturePrintOutput(true).SetModules(libraryModules(t)).
		RaiseBuiltinErrors(true).RunTests(context.Background(), txn)
	require.NoError(t, err)
	n := 0
	for r := range results {
		n++
		require.NoError(t, r.Error, r.Name)
		require.Falsef(t, r.Fail, "%s: %s failed\n%s", r.Location, r.Name, r.Output)
	}
	require.Greater(t, n, 90)
}

func TestRegoIsFormatted(t *testing.T) {
	for name := range libraryModules(t) {
		text, err := fs.ReadFile(libraryFiles(), name)
		require.NoError(t, err)
		want, err := format.SourceWithOpts(name, text, format.Opts{RegoVersion: ast.RegoV1})
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, text), "%s is not formatted; run opa fmt on it\n%s", name, want)
	}
}

// What a process leaves out is checked here and when code is generated: every
// check of the compiler, the types of input and the paths in configuration.
func TestLibraryPassesEveryCheck(t *testing.T) {
	files, err := sources.Files()
	require.NoError(t, err)
	c, err := sources.Compile(sources.Rules(files))
	require.NoError(t, err)
	config, err := loadSchema("effective.json")
	require.NoError(t, err)
	for name, m := range c.Modules {
		ast.WalkRefs(m, func(r ast.Ref) bool {
			if len(r) > 1 && r.HasPrefix(ast.MustParseRef("data.config")) {
				require.True(t, resolves(c, r, config), "%s: %s", name, r)
			}
			return false
		})
	}
}

// A site is checked beside launch/lib alone, which is sound as long as nothing
// there refers to the rest of the library or to a site.
func TestLibStandsAlone(t *testing.T) {
	files, err := sources.Files()
	require.NoError(t, err)
	c, err := sources.Compile(sources.Rules(files))
	require.NoError(t, err)
	for name, m := range c.Modules {
		if !strings.HasPrefix(name, "launch/lib/") {
			continue
		}
		ast.WalkRefs(m, func(r ast.Ref) bool {
			if r.HasPrefix(ast.DefaultRootRef) {
				own := r.HasPrefix(ast.MustParseRef("data.config")) || r.HasPrefix(ast.MustParseRef("data.launch.lib"))
				require.True(t, own && len(r) > 2, "%s: %s", name, r)
			}
			return false
		})
	}
}

func TestWhoReadsTheLibrary(t *testing.T) {
	for text, want := range map[string]bool{
		"import data.launch.lib.trust\nx if trust.owners": true, "import data as d\nx if d.launch.lib": true, "x if data[input.y]": true,
		"x if data == 1": true, `x if data["launch"].lib.trust.owners`: true, "x if data[z].lib == 1": true, "x if [y | y := data]": true,
		"x if data.launch.lib.version.valid(input.y)": true, "x := data.launch": true,
		"x if data.config.y": false, "x if data.site.y[data.config.z]": false, "import data.site.b\nx if b.y": false, "x if input.launch": false,
	} {
		require.Equal(t, want, readsLibrary(ast.MustParseModule("package site.a\n"+text)), text)
	}
}

func TestMetadataAndTableAgree(t *testing.T) {
	codes := libraryCodes()
	found := map[code.Code]bool{}
	tests := map[string]bool{}
	for name, m := range libraryModules(t) {
		if strings.HasSuffix(name, "_test.rego") {
			for _, r := range m.Rules {
				tests[r.Head.Name.String()] = true
			}
			continue
		}
		require.NotEmpty(t, m.Annotations, name)
		for _, a := range m.Annotations {
			require.NotEmpty(t, a.Title, "%s:%d", name, a.Location.Row)
			raw, ok := a.Custom["code"]
			if !ok {
				continue
			}
			c := code.Code(raw.(string))
			entry, ok := codes[c]
			require.True(t, ok, "%s is in no table", c)
			require.False(t, found[c], "%s has two rules", c)
			found[c] = true
			require.Equal(t, map[string]any{
				"code": string(c), "severity": entry.severity, "enforcement": string(entry.enforcement),
				"waivable": entry.waivable, "remediation": entry.remediation,
			}, a.Custom, "%s", c)
			require.Equal(t, "data."+entry.rule, m.Package.Path.String(), "%s", c)
		}
	}
	for c := range codes {
		require.True(t, found[c], "%s has no rule", c)
		require.True(t, tests["test_"+string(c)+"_denied"], "%s has no denying test", c)
		require.True(t, tests["test_"+string(c)+"_allowed"], "%s has no allowing test", c)
	}
}

func TestFixturesAgree(t *testing.T) {
	e, err := Load(context.Background(), Options{Deadline: patience})
	require.NoError(t, err)
	c := ast.NewCompiler()
	c.Compile(libraryModules(t))
	require.False(t, c.Failed(), "%v", c.Errors)
	for name, want := range map[string]any{"launch": goodInput(), "config": e.config.rules} {
		rules := c.GetRulesExact(ast.MustParseRef("data.launch.fixture." + name))
		require.Len(t, rules, 1)
		text, err := json.Marshal(want)
		require.NoError(t, err)
		got, err := ast.JSON(rules[0].Head.Value.Value)
		require.NoError(t, err)
		if name == "launch" {
			doubts, doubted := everyDoubt()
			require.Equal(t, doubts, got.(map[string]any)["doubts"])
			require.Equal(t, doubted, got.(map[string]any)["doubted"])
			delete(got.(map[string]any), "doubts")
			delete(got.(map[string]any), "doubted")
		}
		have, err := json.Marshal(got)
		require.NoError(t, err)
		require.JSONEq(t, string(text), string(have), "launch/fixture_test.rego: %s", name)
	}
}
