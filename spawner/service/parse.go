package service

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/spawnward/spawnward/spawner/code"
)

const (
	maxDepth = 32    // how deeply values may be nested
	maxNodes = 50000 // how many values there may be
)

// Parse reads a definition, fills in its defaults and validates it. Errors have
// the code service_invalid and join every [*Problem] that was found, with lines
// for YAML and JSON.
func Parse(data []byte, f Format) (*Definition, error) {
	d, err := parse(data, f)
	if err != nil {
		return nil, code.New("read service definition", code.ServiceInvalid, err)
	}
	return d, nil
}

func parse(data []byte, f Format) (*Definition, error) {
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("it is larger than %d bytes; make it smaller", MaxBytes)
	}
	if f == ServiceDef {
		return parseServiceDef(data)
	}
	root, err := parseTree(data, f)
	if err != nil {
		return nil, err
	}
	d := Defaults()
	dec := decoder{lines: map[string]int{}}
	dec.value(root, "", valueOf(&d), 0)
	if err := dec.err(); err != nil {
		return nil, err
	}
	d.Normalize()
	return &d, dec.locate(d.Validate())
}

// parseTree reads one document of text into a tree, checking nothing but form.
func parseTree(data []byte, f Format) (*yaml.Node, error) {
	switch {
	case !utf8.Valid(data):
		return nil, &Problem{Line: badLine(data), Message: "it is not valid UTF-8; save it as UTF-8"}
	case bytes.HasPrefix(data, []byte("\ufeff")):
		return nil, &Problem{Line: 1, Message: "it begins with a byte order mark; save it as UTF-8 without one"}
	case bytes.IndexByte(data, 0) >= 0:
		return nil, &Problem{Line: lineAt(data, bytes.IndexByte(data, 0)), Message: "it holds a NUL byte; remove it"}
	case len(bytes.TrimSpace(data)) == 0:
		return nil, errors.New("it is empty; write at least service_name, binary_path and per_version_binary_dir")
	case f == JSON:
		return jsonTree(data)
	case f == YAML:
		return yamlTree(data)
	}
	return nil, fmt.Errorf("%s is not a format", quoteShort(string(f)))
}

func yamlTree(data []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("it holds nothing but comments; write at least service_name, binary_path and per_version_binary_dir")
		}
		return nil, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	switch err := dec.Decode(&second); {
	case err == nil:
		return nil, &Problem{Line: second.Line, Message: "a second document begins here; write one definition a file"}
	case !errors.Is(err, io.EOF):
		return nil, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, errors.New("it is no YAML document")
	}
	if countNodes(&doc, maxNodes) < 0 {
		return nil, fmt.Errorf("it holds more than %d values", maxNodes)
	}
	return doc.Content[0], nil
}

// countNodes takes the nodes below n off a budget; below 0 it is used up.
func countNodes(n *yaml.Node, budget int) int {
	for _, c := range n.Content {
		if budget = countNodes(c, budget-1); budget < 0 {
			break
		}
	}
	return budget
}

func lineAt(data []byte, offset int) int { return 1 + bytes.Count(data[:offset], []byte("\n")) }

func badLine(data []byte) int {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return lineAt(data, i)
		}
		i += size
	}
	return 0
}
