package policy

import "strconv"

// schemaReader makes a schema of its JSON. By hand, because it is done at every
// start: the machine of encoding/json for so many members takes longer to begin
// than all of this.
type schemaReader struct{ err error }

func (r *schemaReader) fail(n *node, format string, args ...any) {
	if r.err == nil {
		r.err = lineError(n.line, format, args...)
	}
}

func (r *schemaReader) is(n *node, kind string) bool {
	if n.kind != kind {
		r.fail(n, "want %s, found %s", kind, n.kind)
	}
	return n.kind == kind
}

func (r *schemaReader) schema(n *node) *schema {
	s := &schema{}
	if !r.is(n, "object") {
		return s
	}
	for _, m := range n.members {
		r.member(s, m)
	}
	return s
}

func (r *schemaReader) member(s *schema, m member) {
	switch m.name {
	case "$schema", "title", "description":
		r.text(m.value)
	case "definitions":
		s.Definitions = r.named(m.value)
	case "$ref":
		s.Ref = r.text(m.value)
	case "type":
		s.Type = r.text(m.value)
	case "properties":
		s.Properties = r.named(m.value)
	case "required":
		s.Required = r.texts(m.value)
	case "additionalProperties":
		if m.value.kind != "boolean" || m.value.text != "false" {
			s.Additional = r.schema(m.value)
		}
	case "propertyNames":
		s.PropertyNames = r.schema(m.value)
	case "items":
		s.Items = r.schema(m.value)
	case "anyOf":
		if r.is(m.value, "array") {
			for _, one := range m.value.items {
				s.AnyOf = append(s.AnyOf, r.schema(one))
			}
		}
	case "enum":
		s.Enum = r.texts(m.value)
	case "pattern":
		s.Pattern = r.text(m.value)
	case "minimum":
		s.Minimum = r.number(m.value)
	case "maximum":
		s.Maximum = r.number(m.value)
	case "maxLength":
		s.MaxLength = r.number(m.value)
	default:
		r.fail(m.value, "unknown member %q", m.name)
	}
}

func (r *schemaReader) named(n *node) map[string]*schema {
	if !r.is(n, "object") {
		return nil
	}
	out := make(map[string]*schema, len(n.members))
	for _, m := range n.members {
		out[m.name] = r.schema(m.value)
	}
	return out
}

func (r *schemaReader) text(n *node) string {
	r.is(n, "string")
	return n.text
}

func (r *schemaReader) texts(n *node) []string {
	if !r.is(n, "array") {
		return nil
	}
	out := make([]string, 0, len(n.items))
	for _, one := range n.items {
		out = append(out, r.text(one))
	}
	return out
}

func (r *schemaReader) number(n *node) *int64 {
	v, err := strconv.ParseInt(n.text, 10, 64)
	if n.kind != "integer" || err != nil {
		r.fail(n, "want an integer, found %s", n.kind)
	}
	return &v
}
