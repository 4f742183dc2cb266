package sources

import (
	"encoding/json"
	"maps"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/spawnward/spawnward/rego"
)

// Parts gives the schemas of the parts of input, without references to others; ""
// where there is no such part.
type Parts func(name string) string

// wanted is what modules refer to of a document: all of it, or some members.
type wanted struct {
	all     bool
	members map[string]*wanted
}

// add wants what a reference leads to, as far as that is known before it runs.
func (w *wanted) add(r ast.Ref) {
	for _, t := range r[1:] {
		name, known := t.Value.(ast.String)
		if !known {
			break
		}
		if w.members == nil {
			w.members = map[string]*wanted{}
		}
		if w.members[string(name)] == nil {
			w.members[string(name)] = &wanted{}
		}
		w = w.members[string(name)]
	}
	w.all = true
}

// wantedInput is what modules that were only parsed refer to of input.
func wantedInput(modules map[string]*ast.Module) *wanted {
	w := &wanted{}
	for _, m := range modules {
		ast.WalkRefs(m, func(r ast.Ref) bool {
			if r.HasPrefix(ast.InputRootRef) {
				w.add(r)
			}
			return false
		})
	}
	return w
}

// inputSchema is the schema of what is wanted of input: making types of all of it
// takes longer than everything else that is done for a site with one rule.
func inputSchema(w *wanted, parts Parts) (any, error) {
	if w.all {
		return wholeInput()
	}
	properties := make(map[string]any, len(w.members))
	for name, member := range w.members {
		part, err := partSchema(parts(name))
		if err != nil {
			return nil, err
		}
		if part == nil || !member.prune(part) {
			return wholeInput() // the error names all there are
		}
		properties[name] = part
	}
	return map[string]any{"type": "object", "additionalProperties": false, "properties": properties}, nil
}

func wholeInput() (any, error) {
	text, err := rego.Schemas.ReadFile("schema/input.json")
	if err != nil {
		return nil, err
	}
	var whole any
	err = json.Unmarshal(text, &whole)
	return whole, err
}

func partSchema(text string) (part map[string]any, err error) {
	if text != "" {
		err = json.Unmarshal([]byte(text), &part)
	}
	return part, err
}

// prune takes out of an object's schema what is not wanted. It reports whether
// everything that is wanted is there.
func (w *wanted) prune(schema map[string]any) bool {
	properties, plain := schema["properties"].(map[string]any)
	if w.all || !plain || schema["additionalProperties"] != false {
		return true
	}
	maps.DeleteFunc(properties, func(name string, _ any) bool { return w.members[name] == nil })
	for name, member := range w.members {
		property, ok := properties[name].(map[string]any)
		if !ok || !member.prune(property) {
			return false
		}
	}
	return true
}

// InputParts are the schemas of all parts of input, as [Parts] gives them: with
// what types are made of and nothing else.
func InputParts() (map[string]string, error) {
	whole, err := wholeInput()
	if err != nil {
		return nil, err
	}
	schema := whole.(map[string]any)
	definitions, _ := schema["definitions"].(map[string]any)
	out := map[string]string{}
	for name, part := range schema["properties"].(map[string]any) {
		text, err := json.Marshal(bare(part, definitions))
		if err != nil {
			return nil, err
		}
		out[name] = string(text)
	}
	return out, nil
}

// bare is a schema with the definitions in their places, and with types alone.
func bare(schema any, definitions map[string]any) any {
	from, ok := schema.(map[string]any)
	if !ok {
		return schema
	}
	if ref, ok := from["$ref"].(string); ok {
		return bare(definitions[strings.TrimPrefix(ref, "#/definitions/")], definitions)
	}
	out := map[string]any{}
	for key, v := range from {
		switch key {
		case "description", "required":
		case "properties":
			properties := map[string]any{}
			for name, property := range v.(map[string]any) {
				properties[name] = bare(property, definitions)
			}
			out[key] = properties
		default:
			out[key] = bare(v, definitions)
		}
	}
	return out
}
