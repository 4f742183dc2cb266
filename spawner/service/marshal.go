package service

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/spawnward/spawnward/spawner/code"
)

// Marshal writes a definition. YAML and JSON leave out what has its default;
// ServiceDef holds what the v1 message knows, see [Dropped]. The result is the
// same for equal definitions, and [Parse] reads it back. Errors have the code
// service_invalid.
func Marshal(d *Definition, f Format) ([]byte, error) {
	c := *d
	c.Normalize()
	b, err := marshal(&c, f)
	if err != nil {
		return nil, code.New("write service definition", code.ServiceInvalid, err)
	}
	return b, nil
}

func marshal(d *Definition, f Format) ([]byte, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	switch f {
	case ServiceDef:
		return marshalServiceDef(d)
	case JSON:
		var b bytes.Buffer
		if err := json.Indent(&b, jsonBytes(encoder{}.tree(d), false), "", "  "); err != nil {
			return nil, err
		}
		b.WriteByte('\n')
		return b.Bytes(), nil
	case YAML:
		var b bytes.Buffer
		enc := yaml.NewEncoder(&b)
		enc.SetIndent(2)
		if err := enc.Encode(encoder{}.tree(d)); err != nil {
			return nil, err
		}
		return b.Bytes(), enc.Close()
	}
	return nil, fmt.Errorf("%s is not a format", quoteShort(string(f)))
}

// Dropped names the parts of a definition that ServiceDef cannot hold, such as
// "launch.args", in the order of the format.
func Dropped(d *Definition) []string {
	c := *d
	c.Normalize()
	root := encoder{}.tree(&c)
	names := []string{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value != "launch" {
			continue
		}
		for j := 0; j+1 < len(root.Content[i+1].Content); j += 2 {
			names = append(names, "launch."+root.Content[i+1].Content[j].Value)
		}
	}
	return names
}

// Canonical is the one JSON form of a definition: every field, defaults filled
// in, keys sorted, no white space. The digest of a definition that came from no
// file is made from it, and [Parse] reads it back as JSON.
func Canonical(d *Definition) []byte {
	c := *d
	c.Normalize()
	return jsonBytes(encoder{full: true}.tree(&c), true)
}

// MarshalJSON gives the canonical form.
func (d Definition) MarshalJSON() ([]byte, error) { return Canonical(&d), nil }

func jsonBytes(n *yaml.Node, sorted bool) []byte {
	var b bytes.Buffer
	writeJSON(&b, n, sorted)
	return b.Bytes()
}

func writeJSON(b *bytes.Buffer, n *yaml.Node, sorted bool) {
	switch n.Kind {
	case yaml.MappingNode:
		b.WriteByte('{')
		for i, entry := range entries(n, sorted) {
			if i > 0 {
				b.WriteByte(',')
			}
			writeJSON(b, entry[0], sorted)
			b.WriteByte(':')
			writeJSON(b, entry[1], sorted)
		}
		b.WriteByte('}')
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, c := range n.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			writeJSON(b, c, sorted)
		}
		b.WriteByte(']')
	default:
		if n.Tag == "!!str" {
			writeString(b, n.Value)
		} else {
			b.WriteString(n.Value)
		}
	}
}

func entries(n *yaml.Node, sorted bool) [][2]*yaml.Node {
	list := make([][2]*yaml.Node, 0, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		list = append(list, [2]*yaml.Node{n.Content[i], n.Content[i+1]})
	}
	if sorted {
		slices.SortFunc(list, func(a, b [2]*yaml.Node) int { return strings.Compare(a[0].Value, b[0].Value) })
	}
	return list
}

func writeString(b *bytes.Buffer, s string) {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string cannot fail
	b.Truncate(b.Len() - 1)
}
