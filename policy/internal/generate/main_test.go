package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/policy/internal/compiled"
	"github.com/spawnward/spawnward/policy/internal/sources"
)

const checkedIn = "../compiled/library.go"

// The generated file must be of the rules that are embedded now.
func TestGeneratedIsCurrent(t *testing.T) {
	files, err := sources.Files()
	require.NoError(t, err)
	require.Equal(t, sources.Digest(files), compiled.Digest, "the rules changed; run: go generate ./policy")
	want, err := source(files)
	require.NoError(t, err)
	have, err := os.ReadFile(checkedIn)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, have), "policy/internal/compiled/library.go is stale; run: go generate ./policy")

	path := filepath.Join(t.TempDir(), "library.go")
	require.NoError(t, run([]string{path}))
	again, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, again))
	require.Error(t, run(nil))
}

// What was generated is what the compiler gave, with templates as showDirectly
// leaves them, places of rules and expressions
// included.
func TestGeneratedIsWhatWasCompiled(t *testing.T) {
	files, err := sources.Files()
	require.NoError(t, err)
	c, err := sources.Compile(sources.Rules(files))
	require.NoError(t, err)
	showDirectly(c)
	got := compiled.Modules()
	require.Len(t, got, len(c.Modules))
	for name, want := range c.Modules {
		m := got[name]
		require.NotNil(t, m, name)
		require.True(t, want.Package.Equal(m.Package), name)
		require.Len(t, m.Rules, len(want.Rules), name)
		for i, r := range want.Rules {
			r.Annotations = nil // nobody reads them after compiling
			require.Zero(t, r.Compare(m.Rules[i]), "%s\n%s", r, m.Rules[i])
			require.Equal(t, r.String(), m.Rules[i].String())
		}
		require.Equal(t, trace(want), trace(m), name)
	}
}

// trace lists what comparing modules passes over.
func trace(m *ast.Module) []string {
	var out []string
	at := func(kind string, loc *ast.Location) {
		if loc == nil {
			loc = &ast.Location{}
		}
		out = append(out, kind+" "+loc.File+":"+strings.Repeat("1", loc.Row))
	}
	ast.WalkRules(m, func(r *ast.Rule) bool {
		at("rule", r.Location)
		at("head", r.Head.Location)
		if r.Module != nil {
			out = append(out, r.Module.Package.String())
		}
		return false
	})
	ast.WalkExprs(m, func(x *ast.Expr) bool {
		if !x.IsEquality() {
			at("expression", x.Location)
		}
		return false
	})
	return out
}

// Only what is a scalar by its type stands in a template without its set.
func TestTemplatesShowScalarsDirectly(t *testing.T) {
	c, err := sources.Compile([]sources.File{{Name: "a.rego", Text: []byte(`package a

b contains $"{path} {links} {exe} {mount} {input.binary.kind} {uid}" if {
	path := input.binary.path
	links := input.binary.links
	exe := input.binary.executable
	mount := input.binary.mount
	some uid in input.binary.ancestor_owners
}
`)}})
	require.NoError(t, err)
	showDirectly(c)
	var operands []string
	ast.WalkExprs(c.Modules["a.rego"], func(x *ast.Expr) bool {
		if x.IsCall() && x.Operator().Equal(ast.InternalTemplateString.Ref()) {
			x.Operand(0).Value.(*ast.Array).Foreach(func(part *ast.Term) { operands = append(operands, ast.ValueName(part.Value)) })
		}
		return false
	})
	require.Equal(t, []string{"var", "string", "var", "string", "var", "string", "set", "string", "var", "string", "var"}, operands)
}

func TestUnknownFormsAreRefused(t *testing.T) {
	for _, text := range []string{
		"package a\n\nimport rego.v1\n\nb if input.x with input as 1",
		"package a\n\nimport rego.v1\n\nb if { some x in input; x == 1 }",
		"package a\n\nimport rego.v1\n\nb := $\"x{input.y}\"",
	} {
		e := &emitter{}
		for _, r := range ast.MustParseModule(text).Rules {
			e.rule(r)
		}
		require.ErrorContains(t, e.err, "teach packages generate", text)
	}
	_, err := source([]sources.File{{Name: "a.rego", Text: []byte("package")}})
	require.Error(t, err)
	_, err = source([]sources.File{{Name: "a.rego", Text: []byte("package a\n\nb := 1")}})
	require.ErrorContains(t, err, "data.json")
	_, err = source([]sources.File{{Name: "a.rego", Text: []byte("package a\n\nimport rego.v1\n\nb if http.send({})")}, {Name: sources.ConfigName, Text: []byte("{}")}})
	require.ErrorContains(t, err, "http.send")
}
