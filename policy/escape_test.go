package policy

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/policy/internal/sources"
	"github.com/spawnward/spawnward/spawner/code"
)

// A name that is misspelt is found however it is reached.
// (What is taken out of an object with any keys, by an assignment, has no type.)
func TestMisspeltReferences(t *testing.T) {
	for name, body := range map[string]string{
		"input, direct":             `input.binary.siz > 1`,
		"input, negated":            `not input.binary.siz`,
		"input, assigned":           "x := input.binary\n\tx.siz > 1",
		"input, unified":            "x = input.binary\n\tx.siz > 1",
		"input, assigned, negated":  "x := input.binary\n\tnot x.siz",
		"input, assigned twice":     "x := input\n\ty := x.binary\n\ty.siz > 1",
		"input, in a list":          "some a in input.binary.ancestors\n\ta.owner == 1",
		"input, in a comprehension": "count([1 | input.env[_].nam == \"x\"]) > 0",
		"input, in every":           "every a in input.binary.ancestors { a.owner == 1 }",
		"every, assigned":           "es := input.env\n\tevery e in es { e.nam != \"X\" }",
		"every, imported":           "every e in vars { e.nam != \"X\" }",
		"every, of a rule":          "every e in _vars { e.nam != \"X\" }",
		"every, assigned within":    "every e in input.env { f := e; f.nam != \"X\" }",
		"every, of a comprehension": "every e in [x | some x in input.env] { e.nam != \"X\" }",
		"every, of a set":           "every e in {x | some x in input.env} { e.nam != \"X\" }",
		"every, nested":             "every f in input.files { every a in vars { a.nam != f.name } }",
		"every, nested, outer":      "every f in input.files { every a in vars { a.name != f.nam } }",
		"every, negated":            "every e in input.env { not e.nam }",
		"input, by text":            `input["binary"]["siz"] > 1`,
		"input, in a template":      `x := $"{input.binary.siz}"` + "\n\tx != \"\"",
		"input, in a call":          `startswith(input.request.srvice, "x")`,
		"config, direct":            `data.config.defaults.binary.max_byte > 1`,
		"config, negated":           `not data.config.defaults.binary.max_byte`,
		"config, assigned":          "x := data.config.defaults\n\tx.binary.max_byte > 1",
		"config, assigned, negated": "x := data.config.defaults\n\tnot x.binary.max_byte",
		"config, of a service":      `data.config.services.redis.binary.max_byte > 1`,
		"config, imported":          `defaults.binary.max_byte > 1`,
		"library, effective":        `data.launch.lib.config.effective.binary.max_byte > 1`,
		"library, assigned":         "x := data.launch.lib.config.effective\n\tx.binary.max_byte > 1",
		"catalogue":                 `data.catalog[input.binary.sha256].versoin == "1.0.0"`,
	} {
		t.Run(name, func(t *testing.T) {
			text := "package site.net\n\nimport rego.v2\n\nimport input.binary as b\nimport data.config.defaults\nimport input.env as vars\n\n_vars := input.env\n\n" +
				"deny contains {\"code\": \"site_x\", \"message\": \"m\"} if {\n\tb.size >= 0\n\tcount(vars) == count(_vars)\n\tdefaults.binary.max_bytes > 0\n\t" + body + "\n}\n" + declaresX
			_, err := loadSite(t, files{"site/net/net.rego": text})
			require.ErrorContains(t, err, "site/net/net.rego:")
			require.Regexp(t, "undefined ref|is not there", err.Error())
		})
	}
}

func TestGoodReferences(t *testing.T) {
	for _, body := range []string{
		"every a in input.binary.ancestors { a.uid == 0 }", "every i, a in input.env { i < 9; a.name != \"x\" }", "every a in input.request.args { a != \"x\" }",
		"es := input.env\n\tevery e in es { f := e; f.name != \"X\" }", "every e in [x | some x in input.env] { not startswith(e.name, \"A\") }",
		"every a in input.binary.ancestors { [x, y] := [a, a.uid]; y == 0; x.mode == 1 }", "every k, v in input.service.labels { k != v }",
		"every s in {x | x := input.env[_].name} { s != \"X\" }", "every s in data.config.services { s.binary.max_bytes > 1 }",
		"data.config.services.redis.binary.max_bytes > 1", "data.config.services[input.request.service].digests.allow[input.binary.sha256]",
		"x := data.launch.lib.config.effective\n\tx.binary.max_bytes > 1", "some digest, entry in data.catalog\n\tentry.version != digest",
		"data.catalog[input.binary.sha256].version == \"1.0.0\"", "input.service.labels.anything == \"x\"", "data.config.defaults.env.set.TZ == \"UTC\"",
		"some x in data.config.defaults.enforcement\n\tx == \"warn\"", "not data.config.defaults.confine.landlock.read",
	} {
		_, err := loadSite(t, files{"site/net/net.rego": "package site.net\n\nimport rego.v2\n\n" +
			"deny contains {\"code\": \"site_x\", \"message\": \"m\"} if {\n\t" + body + "\n}\n" + declaresX})
		require.NoError(t, err, body)
	}
}

func TestPolicyThatNeverEndsDoesNotLoad(t *testing.T) {
	dir := writeSite(t, files{"site/net/net.rego": "package site.net\n\nimport rego.v2\n\ndeny contains {\"code\": \"site_x\", \"message\": \"m\"} if {\n" +
		"\tsome a in numbers.range(1, 100000)\n\tsome b in numbers.range(1, 100000)\n\ta * b == -1\n}\n" + declaresX})
	_, err := Load(context.Background(), Options{Path: dir, Deadline: 20 * time.Millisecond})
	got, _ := code.Of(err)
	require.Equal(t, code.PolicyInvalid, got, "%v", err)
	require.ErrorContains(t, err, "no decision within 20ms")
}

func TestWhoMayWriteABundle(t *testing.T) {
	for name, change := range map[string]func(file string) error{
		"bundle":    func(file string) error { return os.Chmod(file, 0o666) },
		"directory": func(file string) error { return os.Chmod(filepath.Dir(file), 0o777) },
	} {
		t.Run(name, func(t *testing.T) {
			file := bundleFile(t, generationBundle(t, 1))
			require.NoError(t, change(file))
			_, err := Load(context.Background(), Options{Path: file, Deadline: patience})
			got, _ := code.Of(err)
			require.Equal(t, code.PolicyInvalid, got, "%v", err)
			require.ErrorContains(t, err, "others can write it")
		})
	}
}

// Whatever OPA knows to give another answer another time is out of reach.
func TestNothingNondeterministicIsAllowed(t *testing.T) {
	for _, b := range ast.CapabilitiesForThisVersion().Builtins {
		if b.Nondeterministic {
			require.NotContains(t, sources.AllowedBuiltins(), b.Name)
			require.NotContains(t, testCapabilityNames(), b.Name)
		}
	}
}

func testCapabilityNames() []string {
	var out []string
	for _, b := range testCapabilities().Builtins {
		out = append(out, b.Name)
	}
	return out
}
