package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// node is a value of a data file with the line it stands on, the same for YAML
// and JSON.
type node struct {
	line    int
	kind    string // object, array, string, integer, number, boolean, null
	text    string // of a scalar
	members []member
	items   []*node
}

type member struct {
	name  string
	line  int
	value *node
}

const maxDepth = 32

// parseYAML reads exactly one YAML document without anchors, aliases, tags and
// repeated keys.
func parseYAML(text []byte) (*node, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("the file is not valid UTF-8")
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return &node{line: 1, kind: "object"}, nil
		}
		return nil, err
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, errors.New("the file holds more than one document; keep one")
	}
	return fromYAML(doc.Content[0], 0)
}

func fromYAML(y *yaml.Node, depth int) (*node, error) {
	n := &node{line: y.Line}
	switch {
	case depth > maxDepth:
		return nil, lineError(y.Line, "nested deeper than %d", maxDepth)
	case y.Anchor != "" || y.Kind == yaml.AliasNode:
		return nil, lineError(y.Line, "anchors and aliases are not supported; write the value out")
	case y.Kind == yaml.ScalarNode:
		return n, n.scalar(y)
	case y.ShortTag() != "!!seq" && y.ShortTag() != "!!map":
		return nil, lineError(y.Line, "the tag %s is not supported", y.Tag)
	case y.Kind == yaml.SequenceNode:
		n.kind = "array"
		for _, c := range y.Content {
			item, err := fromYAML(c, depth+1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
		}
		return n, nil
	}
	n.kind = "object"
	seen := make(map[string]bool, len(y.Content)/2)
	for i := 0; i+1 < len(y.Content); i += 2 {
		k := y.Content[i]
		if k.Kind != yaml.ScalarNode || k.Anchor != "" || k.Tag == "!!merge" {
			return nil, lineError(k.Line, "keys must be plain text")
		}
		if seen[k.Value] {
			return nil, lineError(k.Line, "the key %q is repeated", k.Value)
		}
		seen[k.Value] = true
		v, err := fromYAML(y.Content[i+1], depth+1)
		if err != nil {
			return nil, err
		}
		n.members = append(n.members, member{k.Value, k.Line, v})
	}
	return n, nil
}

func (n *node) scalar(y *yaml.Node) error {
	n.text = y.Value
	switch y.ShortTag() {
	case "!!str", "!!timestamp":
		n.kind = "string"
	case "!!bool":
		n.kind = "boolean"
	case "!!null":
		n.kind = "null"
	case "!!float":
		n.kind = "number"
	case "!!int":
		n.kind = "integer"
		var i int64
		if err := y.Decode(&i); err != nil {
			n.kind = "number"
			return nil
		}
		n.text = strconv.FormatInt(i, 10)
	default:
		return lineError(y.Line, "the tag %s is not supported", y.Tag)
	}
	return nil
}

// plain gives the value without its lines; numbers are json.Number.
func (n *node) plain() any {
	switch n.kind {
	case "object":
		out := make(document, len(n.members))
		for _, m := range n.members {
			out[m.name] = m.value.plain()
		}
		return out
	case "array":
		out := make([]any, len(n.items))
		for i, v := range n.items {
			out[i] = v.plain()
		}
		return out
	case "string":
		return n.text
	case "boolean":
		return n.text == "true"
	case "integer", "number":
		return json.Number(n.text)
	}
	return nil
}

// linedError says on which line of a file something is wrong.
type linedError struct {
	line int
	err  error
}

func (e *linedError) Error() string { return fmt.Sprintf("line %d: %v", e.line, e.err) }
func (e *linedError) Unwrap() error { return e.err }

func lineError(line int, format string, args ...any) error {
	return &linedError{line, fmt.Errorf(format, args...)}
}
