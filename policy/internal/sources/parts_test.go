package sources

import (
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/stretchr/testify/require"
)

// A compiler that knows the types of some of input finds in a module what one
// that knows all of them finds.
func TestCompilerForModules(t *testing.T) {
	for name, c := range map[string]struct {
		rule  string
		parts []string // nil is all
	}{
		"two parts":          {`x if input.request.service == input.service.name`, []string{"request", "service"}},
		"definitions":        {`x if input.binary.interp.path == "/x"`, []string{"binary"}},
		"wrong field":        {`x if input.request.servce == "x"`, []string{"request"}},
		"wrong deep field":   {`x if input.binary.ancestors[0].ower == 1`, []string{"binary"}},
		"wrong type":         {`x if input.request.service == 3`, []string{"request"}},
		"no such part":       {`x if input.reqest.service == "x"`, []string{"reqest"}},
		"all of it":          {`x := input`, nil},
		"a part by variable": {`x if { some k; input[k].service }`, nil},
		"by a name":          {`x if { k := "request"; input[k].servce == "x" }`, nil},
		"an alias":           {`x if { i := input; i.nothing }`, nil},
		"an import":          {"import input.request as r\n\nx if r.servce == 1", []string{"request"}},
		"inside":             {`x := [y | some a in input.request.args; y := input.env[_].name]`, []string{"request", "env"}},
		"none":               {`x if 1 == 1`, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			parse := func() map[string]*ast.Module {
				m, err := Parse(File{"site/a/a.rego", []byte("package site.a\n\nimport rego.v2\n\n" + c.rule + "\n")}, Capabilities())
				require.NoError(t, err)
				return map[string]*ast.Module{"site/a/a.rego": m}
			}
			modules := parse()
			if c.parts == nil {
				require.Nil(t, inputParts(modules))
			} else {
				require.ElementsMatch(t, c.parts, inputParts(modules))
			}
			whole, err := NewCompiler(Capabilities(), false)
			require.NoError(t, err)
			whole.Compile(parse())
			some, err := NewCompilerFor(modules, Capabilities(), false)
			require.NoError(t, err)
			some.Compile(modules)
			require.Equal(t, whole.Errors, some.Errors)
		})
	}
}
