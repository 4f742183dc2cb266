package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spawnward/spawnward/rego"
	"github.com/spawnward/spawnward/spawner/nearest"
)

// schema is the part of JSON Schema that the project's own data schemas use.
// Members it does not know are refused, so that a schema never promises a check
// that is not made.
type schema struct {
	Definitions map[string]*schema
	Ref         string
	Type        string
	Properties  map[string]*schema
	Required    []string
	// Additional is for members that are not in Properties; nil permits none.
	Additional *schema
	// PropertyNames has a pattern for the names of additional members.
	PropertyNames *schema
	Items         *schema
	// AnyOf has one schema for each type that a value may be of.
	AnyOf     []*schema
	Enum      []string
	Pattern   string
	Minimum   *int64
	Maximum   *int64
	MaxLength *int64

	form *regexp.Regexp // made on first use
}

// checker holds a value against a schema and keeps the first error.
type checker struct {
	root *schema
	err  error
}

// loadSchema reads one of the embedded schemas.
func loadSchema(name string) (*schema, error) {
	text, err := rego.Schemas.ReadFile("schema/" + name)
	if err != nil {
		return nil, err
	}
	n, err := parseJSON(text)
	if err != nil {
		return nil, fmt.Errorf("schema %s: %w", name, err)
	}
	r := &schemaReader{}
	s := r.schema(n)
	if r.err != nil {
		return nil, fmt.Errorf("schema %s: %w", name, r.err)
	}
	return s, nil
}

// check holds a value of a data file against a schema. Its error names line,
// path and, for an unknown key, the nearest known one.
func (s *schema) check(at string, n *node) error {
	c := &checker{root: s}
	c.value(at, n, s)
	return c.err
}

func (c *checker) fail(line int, at, format string, args ...any) {
	if c.err == nil {
		c.err = lineError(line, "%s: %w", at, fmt.Errorf(format, args...))
	}
}

func (c *checker) value(at string, n *node, s *schema) {
	if c.err != nil {
		return
	}
	if s.Ref != "" {
		s = c.root.Definitions[strings.TrimPrefix(s.Ref, "#/definitions/")]
		if s == nil {
			c.fail(n.line, at, "the schema refers to a definition that is not there")
			return
		}
	}
	if len(s.AnyOf) > 0 {
		c.anyOf(at, n, s)
		return
	}
	if n.kind != s.Type && (s.Type != "number" || n.kind != "integer") {
		c.fail(n.line, at, "want %s, found %s%s", s.Type, n.kind, hint(s, n))
		return
	}
	switch n.kind {
	case "object":
		c.object(at, n, s)
	case "array":
		for i, item := range n.items {
			c.value(at+"["+strconv.Itoa(i)+"]", item, s.Items)
		}
	case "string":
		c.text(n.line, at, n.text, s)
	case "integer":
		c.integer(at, n, s)
	}
}

// anyOf takes the schema of the value's type.
func (c *checker) anyOf(at string, n *node, s *schema) {
	var types []string
	for _, one := range s.AnyOf {
		if one.Type == n.kind {
			c.value(at, n, one)
			return
		}
		types = append(types, one.Type)
	}
	c.fail(n.line, at, "want %s, found %s", strings.Join(types, " or "), n.kind)
}

func hint(s *schema, n *node) string {
	switch {
	case s.Type == "object" && n.kind == "array":
		return "; write an object with the entries as keys, lookups in it stay fast however long it grows"
	case s.Type == "string" && n.kind != "object" && n.kind != "array":
		return "; put it in quotes"
	}
	return ""
}

func (c *checker) object(at string, n *node, s *schema) {
	silent := &checker{root: c.root}
	for _, m := range n.members {
		if p, ok := s.Properties[m.name]; ok {
			c.value(at+"."+m.name, m.value, p)
			continue
		}
		// The paths of a hundred thousand entries are made when they are needed.
		if s.Additional != nil {
			if s.PropertyNames != nil {
				silent.text(m.line, "", m.name, s.PropertyNames)
			}
			if silent.value("", m.value, s.Additional); silent.err == nil {
				continue
			}
		}
		path := at + "." + m.name
		if s.Additional == nil {
			c.fail(m.line, path, "unknown key%s", nearest.Hint(m.name, sortedKeys(s.Properties)))
			return
		}
		if s.PropertyNames != nil {
			c.text(m.line, path, m.name, s.PropertyNames)
		}
		c.value(path, m.value, s.Additional)
	}
	for _, name := range s.Required {
		if !slices.ContainsFunc(n.members, func(m member) bool { return m.name == name }) {
			c.fail(n.line, at, "the key %q is missing", name)
		}
	}
}

func (c *checker) text(line int, at, text string, s *schema) {
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, text) {
		c.fail(line, at, "%q is not one of %s%s", text, strings.Join(s.Enum, ", "), nearest.Hint(text, s.Enum))
	}
	if s.MaxLength != nil && int64(len(text)) > *s.MaxLength {
		c.fail(line, at, "longer than %d", *s.MaxLength)
	}
	if s.Pattern == "" || s.Pattern == digestForm && isDigest(text) {
		return
	}
	if s.form == nil {
		var err error
		if s.form, err = regexp.Compile(s.Pattern); err != nil {
			c.fail(line, at, "schema: %w", err)
			return
		}
	}
	if !s.form.MatchString(text) {
		c.fail(line, at, "%q does not have the form %s", text, s.Pattern)
	}
}

func (c *checker) integer(at string, n *node, s *schema) {
	i, err := strconv.ParseInt(n.text, 10, 64)
	if err != nil || (s.Minimum != nil && i < *s.Minimum) || (s.Maximum != nil && i > *s.Maximum) {
		c.fail(n.line, at, "%s is out of range", n.text)
	}
}

// digestForm is the pattern of digests. There may be so many that the machine of
// package regexp is too slow for them.
const digestForm = "^[0-9a-f]{64}$"

func isDigest(text string) bool {
	if len(text) != 64 {
		return false
	}
	for i := range len(text) {
		if c := text[i]; c-'0' > 9 && c-'a' > 5 { // below '0' or 'a' they are large
			return false
		}
	}
	return true
}
