package house

import (
	"slices"
	"strconv"
	"strings"
)

const module = "github.com/spawnward/spawnward/"

// direction says what the files below a directory may import beside the
// standard library. Entries stand for a package and all below it; those of this
// module are written from its root.
type direction struct {
	dir      string
	why      string
	may      []string
	exactly  []string // these packages without what is below them
	anything bool
}

// directions is how imports run: from cmd down to spawner, never back.
func directions() []direction {
	const yaml, sys, protobuf = "go.yaml.in/yaml/v3", "golang.org/x/sys", "google.golang.org/protobuf"
	return []direction{
		{dir: "cmd", why: "the command puts everything together", anything: true},
		{dir: "spawner", why: "the spawner knows no policy engine, no WebAssembly and no suite: it declares the interfaces it needs",
			may: []string{"spawner", sys, protobuf, yaml, "lukechampine.com/blake3", "github.com/agnivade/levenshtein"}},
		{dir: "policy", why: "policy decides on facts: it knows no WebAssembly and starts nothing",
			may: []string{"policy", "rego", "spawner/admission", "spawner/code", "spawner/fault", "spawner/fswalk", "spawner/nearest", "spawner/private",
				"github.com/open-policy-agent/opa", "github.com/lestrrat-go/jwx/v3", yaml, sys}},
		{dir: "wasm", why: "hooks advise: they know no policy engine and start nothing but their worker",
			may: []string{"wasm", "spawner/admission", "spawner/code", "spawner/fswalk", "spawner/private", sys, "github.com/tetratelabs/wazero"}, exactly: []string{"spawner"}},
		{dir: "rego", why: "the embedded files carry no logic", may: []string{"rego"}},
		{dir: "conformance", why: "the suite knows the binary and the wire, not the launcher's insides",
			may: []string{"conformance", "spawner/wire", "spawner/backend", "spawner/code", "spawner/fault", sys, yaml}},
	}
}

// testImports is what tests may use beside what the code may, and beside every
// package of this module.
func testImports() []string {
	return []string{"github.com/stretchr/testify", "github.com/rogpeppe/go-internal"}
}

func (f *file) imports() []Finding {
	var found []Finding
	for _, spec := range f.syntax.Imports {
		pkg, _ := strconv.Unquote(spec.Path.Value)
		if first, _, _ := strings.Cut(pkg, "/"); !strings.Contains(first, ".") {
			continue // the standard library
		}
		d, ok := directionOf(f.name)
		if !ok {
			found = append(found, f.finding("direction", spec.Pos(), "the directory has no entry among the directions"))
			continue
		}
		if !d.allows(pkg, f.test()) {
			found = append(found, f.finding("direction", spec.Pos(), d.dir+" may not import "+pkg+": "+d.why))
		}
	}
	return found
}

func directionOf(name string) (direction, bool) {
	for _, d := range directions() {
		if strings.HasPrefix(name, d.dir+"/") {
			return d, true
		}
	}
	return direction{}, false
}

func (d direction) allows(pkg string, test bool) bool {
	own, inModule := strings.CutPrefix(pkg, module)
	if d.anything || test && inModule || slices.Contains(d.exactly, own) {
		return true
	}
	may := d.may
	if test {
		may = slices.Concat(may, testImports())
	}
	for _, m := range may {
		if own == m || strings.HasPrefix(own, m+"/") {
			return true
		}
	}
	return false
}
