package service

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// jsonTree reads one JSON value into the tree that YAML gives, so that one
// decoder serves both.
func jsonTree(data []byte) (*yaml.Node, error) {
	r := &jsonReader{data: data, dec: json.NewDecoder(bytes.NewReader(data))}
	r.dec.UseNumber()
	root, err := r.value(0)
	if err != nil {
		return nil, err
	}
	if _, err := r.dec.Token(); !errors.Is(err, io.EOF) {
		return nil, r.problem("something follows the definition; write one JSON object a file")
	}
	return root, nil
}

type jsonReader struct {
	data  []byte
	dec   *json.Decoder
	nodes int
	at    int // an offset whose line is known
	lines int // newlines before it
}

func (r *jsonReader) problem(format string, args ...any) error {
	return &Problem{Line: r.line(), Message: fmt.Sprintf(format, args...)}
}

// line is the line of the token that was read last.
func (r *jsonReader) line() int {
	now := int(r.dec.InputOffset())
	r.lines += bytes.Count(r.data[r.at:now], []byte("\n"))
	r.at = now
	return 1 + r.lines
}

func (r *jsonReader) token() (json.Token, error) {
	t, err := r.dec.Token()
	if err == nil {
		return t, nil
	}
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, &Problem{Line: lineAt(r.data, len(r.data)), Message: "the JSON ends too early; it may be truncated"}
	case errors.As(err, &syntax):
		at := min(max(int(syntax.Offset)-1, 0), len(r.data))
		return nil, &Problem{Line: lineAt(r.data, at), Message: "bad JSON: " + syntax.Error()}
	}
	return nil, err
}

func (r *jsonReader) value(depth int) (*yaml.Node, error) {
	if depth > maxDepth {
		return nil, r.problem("values are nested deeper than %d", maxDepth)
	}
	if r.nodes++; r.nodes > maxNodes {
		return nil, r.problem("it holds more than %d values", maxNodes)
	}
	before := r.dec.InputOffset()
	t, err := r.token()
	if err != nil {
		return nil, err
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: r.line()}
	switch t := t.(type) {
	case json.Delim:
		return r.list(n, t, depth)
	case string:
		n.Tag, n.Value, n.Style = "!!str", t, yaml.DoubleQuotedStyle
		return n, r.checkText(t, before)
	case json.Number:
		n.Tag, n.Value = "!!int", t.String()
		if strings.ContainsAny(n.Value, ".eE") {
			n.Tag = "!!float"
		}
	case bool:
		n.Tag, n.Value = "!!bool", fmt.Sprint(t)
	case nil:
		n.Tag, n.Value = "!!null", "null"
	}
	return n, nil
}

func (r *jsonReader) list(n *yaml.Node, open json.Delim, depth int) (*yaml.Node, error) {
	n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
	if open == '{' {
		n.Kind, n.Tag = yaml.MappingNode, "!!map"
	}
	for r.dec.More() {
		// Keys are tokens of their own and come before each value.
		child, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, child)
	}
	_, err := r.token() // the closing bracket
	if err == nil && n.Kind == yaml.MappingNode && len(n.Content)%2 != 0 {
		err = r.problem("bad JSON: a key has no value")
	}
	return n, err
}

// checkText refuses what the JSON reader repairs silently: half of a surrogate
// pair becomes U+FFFD.
func (r *jsonReader) checkText(s string, from int64) error {
	const repaired = "\ufffd"
	if strings.Contains(s, repaired) && !bytes.Contains(r.data[from:r.dec.InputOffset()], []byte(repaired)) {
		return r.problem("a text holds half of a surrogate pair; write the whole character")
	}
	return nil
}
