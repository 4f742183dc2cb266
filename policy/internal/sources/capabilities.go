package sources

import (
	"encoding/json"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/spawnward/spawnward/rego"
	"github.com/spawnward/spawnward/spawner/fault"
)

// AllowedBuiltins are the functions that policy may call: all are pure, so a
// decision can be replayed from its input. What reaches the network, a clock,
// a source of randomness or the process is left out, as is what can run
// unboundedly between two checks of the deadline.
func AllowedBuiltins() []string {
	return []string{
		"abs", "all", "any", "array.concat", "array.flatten", "array.reverse", "array.slice", "assign", "base64.encode", "base64.is_valid",
		"bits.and", "bits.negate", "bits.or", "bits.rsh", "bits.xor", "ceil", "concat", "contains", "count",
		"crypto.sha256", "div", "endswith", "eq", "equal", "floor", "format_int", "glob.match", "gt", "gte", "hex.decode", "hex.encode", "indexof",
		"indexof_n", "internal.member_2", "internal.member_3", "internal.template_string", "intersection", "is_array", "is_boolean",
		"is_null", "is_number", "is_object", "is_set", "is_string", "json.filter", "json.marshal", "json.remove", "lower", "lt", "lte",
		"max", "min", "minus", "mul", "neq", "net.cidr_contains", "net.cidr_is_valid", "numbers.range", "object.filter", "object.get",
		"object.keys", "object.remove", "object.subset", "object.union", "object.union_n", "or", "and", "plus", "regex.is_valid",
		"regex.match", "regex.replace", "regex.split", "rem", "replace", "round", "semver.compare", "semver.is_valid", "sort", "split",
		"sprintf", "startswith", "strings.any_prefix_match", "strings.any_suffix_match", "strings.count", "strings.replace_n",
		"strings.reverse", "substring", "sum", "time.parse_rfc3339_ns", "to_number", "trim", "trim_left", "trim_prefix", "trim_right",
		"trim_space", "trim_suffix", "type_name", "union", "upper", "walk",
	}
}

// Capabilities is what policy may use of the language.
func Capabilities() *ast.Capabilities {
	caps := ast.CapabilitiesForThisVersion()
	allowed := AllowedBuiltins()
	slices.Sort(allowed)
	caps.Builtins = slices.DeleteFunc(caps.Builtins, func(b *ast.Builtin) bool {
		_, ok := slices.BinarySearch(allowed, b.Name)
		return !ok && !fault.Mutant("every-builtin")
	})
	caps.AllowNet = []string{}
	return caps
}

// Types of documents that rules read, by the name under which annotations know
// their schema.
const typed = `# METADATA
# scope: subpackages
# schemas:
#   - data.config: schema.effective
#   - data.catalog: schema.catalog
#   - data.launch.lib.config.effective: schema.layer
package `

// DataTypes gives modules that declare the types of configuration and catalogue
// for everything below site and launch.
func DataTypes() ([]*ast.Module, error) {
	var out []*ast.Module
	for _, name := range []string{"site", "launch"} {
		m, err := Parse(File{Name: "types/" + name, Text: []byte(typed + name)}, Capabilities())
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// typeSchemas are the types of input, and with data those of [DataTypes].
func typeSchemas(data bool, w *wanted, parts Parts) (*ast.SchemaSet, error) {
	set := ast.NewSchemaSet()
	input, err := inputSchema(w, parts)
	if err != nil {
		return nil, err
	}
	set.Put(ast.SchemaRootRef, input)
	refs := map[string]ast.Ref{}
	if data {
		refs["effective"], refs["catalog"] = ast.MustParseRef("schema.effective"), ast.MustParseRef("schema.catalog")
	}
	for name, ref := range refs {
		text, err := rego.Schemas.ReadFile("schema/" + name + ".json")
		if err != nil {
			return nil, err
		}
		var schema any
		if err := json.Unmarshal(text, &schema); err != nil {
			return nil, err
		}
		set.Put(ref, schema)
		if name == "effective" {
			// What holds for one service has the form of the defaults.
			whole := schema.(map[string]any)
			set.Put(ast.MustParseRef("schema.layer"), map[string]any{"$ref": "#/definitions/layer", "definitions": whole["definitions"]})
		}
	}
	return set, nil
}
