package sources

import (
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/stretchr/testify/require"
)

// A compiler that knows the types of some of input finds in a module what one
// that knows all of them finds.
func TestCompilerForModules(t *testing.T) {
	parts, err := InputParts()
	require.NoError(t, err)
	for name, c := range map[string]struct {
		rule   string
		wanted []string
	}{
		"two parts":          {`x if input.request.service == input.service.name`, []string{"input.request.service", "input.service.name"}},
		"definitions":        {`x if input.binary.interp.path == "/x"`, []string{"input.binary.interp.path"}},
		"wrong field":        {`x if input.request.servce == "x"`, []string{"input.request.servce"}},
		"wrong deep field":   {`x if input.binary.ancestors[0].ower == 1`, []string{"input.binary.ancestors"}},
		"wrong type":         {`x if input.request.service == 3`, []string{"input.request.service"}},
		"no such part":       {`x if input.reqest.service == "x"`, []string{"input.reqest.service"}},
		"all of it":          {`x := input`, []string{"input"}},
		"a part by variable": {`x if { some k; input[k].service }`, []string{"input"}},
		"by a name":          {`x if { k := "request"; input[k].servce == "x" }`, []string{"input"}},
		"an alias":           {`x if { i := input; i.nothing }`, []string{"input"}},
		"an import":          {"import input.request as r\n\nx if r.servce == 1", []string{"input.request"}},
		"inside":             {`x := [y | some a in input.request.args; y := input.env[_].name]`, []string{"input.request.args", "input.env"}},
		"a label":            {`x if input.service.labels.team == "data"`, []string{"input.service.labels.team"}},
		"below a text":       {`x if input.request.service.name == "x"`, []string{"input.request.service.name"}},
		"wrong deeper":       {`x if input.request.trace.parent == "x"`, []string{"input.request.trace.parent"}},
		"right and wrong":    {`x if { input.request.version; input.request.servce }`, []string{"input.request.version", "input.request.servce"}},
		"whole and member":   {`x if { input.request.trace == {"a": 1}; input.request.trace.traceparent == 1 }`, []string{"input.request.trace"}},
		"by a variable":      {`x if { some k; input.binary.mount[k] == 1; input.binary.mount.local == "x" }`, []string{"input.binary.mount"}},
		"two levels":         {`x if { input.binary.interp.path == 1; input.root.mount.local == 2; input.caller.parent.sha256 }`, []string{"input.binary.interp.path", "input.root.mount.local", "input.caller.parent.sha256"}},
		"none":               {`x if 1 == 1`, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			parse := func() map[string]*ast.Module {
				m, err := Parse(File{"site/a/a.rego", []byte("package site.a\n\nimport rego.v2\n\n" + c.rule + "\n")}, Capabilities())
				require.NoError(t, err)
				return map[string]*ast.Module{"site/a/a.rego": m}
			}
			modules := parse()
			require.ElementsMatch(t, c.wanted, paths("input", wantedInput(modules)))
			whole, err := NewCompiler(Capabilities(), false)
			require.NoError(t, err)
			whole.Compile(parse())
			some, err := NewCompilerFor(modules, func(name string) string { return parts[name] }, Capabilities(), false)
			require.NoError(t, err)
			some.Compile(modules)
			require.Equal(t, whole.Errors, some.Errors)
		})
	}
}

// paths are what is wanted, written out.
func paths(at string, w *wanted) []string {
	if w.all {
		return []string{at}
	}
	var out []string
	for name, member := range w.members {
		out = append(out, paths(at+"."+name, member)...)
	}
	return out
}
