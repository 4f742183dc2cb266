package service

import (
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// encoder turns a value into a tree by the yaml tags of its type, the reverse
// of decoder.
type encoder struct {
	// full writes every field; otherwise those that have their default are left out.
	full bool
}

// tree gives the tree of a definition whose defaults are filled in.
func (e encoder) tree(d *Definition) *yaml.Node {
	defaults := Defaults()
	defaults.Launch.Argv0 = d.BinaryPath
	return e.structure(valueOf(d), valueOf(&defaults))
}

func (e encoder) structure(v, defaults reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for i := range v.NumField() {
		name, field, usual := v.Type().Field(i).Tag.Get("yaml"), v.Field(i), defaults.Field(i)
		if !e.full && (reflect.DeepEqual(field.Interface(), usual.Interface()) || isEmpty(field)) {
			continue
		}
		child := e.field(field, usual)
		if !e.full && field.Kind() == reflect.Struct && child.Kind == yaml.MappingNode && len(child.Content) == 0 {
			continue
		}
		n.Content = append(n.Content, e.text(name), child)
	}
	return n
}

func (e encoder) field(v, usual reflect.Value) *yaml.Node {
	if _, own := reflect.New(v.Type()).Interface().(noder); !own && v.Kind() == reflect.Struct {
		return e.structure(v, usual)
	}
	return e.value(v)
}

func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	}
	return false
}

func (e encoder) value(v reflect.Value) *yaml.Node {
	if v.CanInterface() && v.Kind() == reflect.Struct {
		p := reflect.New(v.Type())
		p.Elem().Set(v)
		if own, ok := p.Interface().(noder); ok {
			return own.encodeNode(e)
		}
	}
	switch value := v.Interface().(type) {
	case time.Duration:
		return e.text(durationText(value))
	case *time.Duration:
		if value == nil {
			return e.text("none")
		}
		return e.text(durationText(*value))
	}
	switch v.Kind() {
	case reflect.String:
		return e.text(v.String())
	case reflect.Bool:
		return scalar("!!bool", strconv.FormatBool(v.Bool()))
	case reflect.Int, reflect.Int64:
		return scalar("!!int", strconv.FormatInt(v.Int(), 10))
	case reflect.Uint64:
		return scalar("!!int", strconv.FormatUint(v.Uint(), 10))
	case reflect.Float64:
		return scalar("!!float", floatText(v.Float()))
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return scalar("!!null", "null")
		}
		return e.value(v.Elem())
	case reflect.Slice:
		return e.list(v)
	case reflect.Map:
		return e.mapping(v)
	case reflect.Struct:
		return e.structure(v, reflect.Zero(v.Type()))
	}
	return scalar("!!null", "null") // an invalid value; Validate refuses those
}

func (e encoder) list(v reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	const fits = 80
	width := 0
	for i := range v.Len() {
		c := e.value(v.Index(i))
		if width += len(c.Value) + 2; c.Kind != yaml.ScalarNode || strings.Contains(c.Value, "\n") {
			width += fits
		}
		n.Content = append(n.Content, c)
	}
	if width < fits {
		n.Style = yaml.FlowStyle
	}
	return n
}

func (e encoder) mapping(v reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for _, key := range mapKeys(v) {
		n.Content = append(n.Content, e.text(key), e.value(v.MapIndex(reflect.ValueOf(key))))
	}
	return n
}

func (e encoder) text(s string) *yaml.Node {
	n := scalar("!!str", s)
	if strings.ContainsFunc(s, needsEscape) || strings.HasPrefix(s, " ") || strings.HasPrefix(s, "\n") || s == "<<" {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// needsEscape: characters that a block of text would change or hide.
func needsEscape(r rune) bool {
	return r != '\n' && !strconv.IsPrint(r)
}

func scalar(tag, value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value}
}

func durationText(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// floatText writes a number so that it is read again as one with a fraction.
func floatText(f float64) string {
	s := strconv.FormatFloat(f, 'g', -1, 64)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}
