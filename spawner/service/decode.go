package service

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/spawnward/spawnward/spawner/nearest"
)

// decoder turns a tree into a value by the yaml tags of its type. It goes on
// after a problem, so that a person sees all of them at once.
type decoder struct {
	problems
	lines map[string]int // field path to line
}

// noder is implemented by the types that have a written form of their own.
type noder interface {
	decodeNode(d *decoder, n *yaml.Node, field string, depth int)
	encodeNode(e encoder) *yaml.Node
}

// locate adds lines to the problems of a validation.
func (d *decoder) locate(err error) error {
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return err
	}
	for _, e := range joined.Unwrap() {
		var p *Problem
		if errors.As(e, &p) {
			p.Line = d.lines[p.Field]
		}
	}
	return err
}

func (d *decoder) value(n *yaml.Node, field string, v reflect.Value, depth int) {
	if !d.plain(n, field, depth) {
		return
	}
	d.lines[field] = n.Line
	if own, ok := v.Addr().Interface().(noder); ok {
		own.decodeNode(d, n, field, depth)
		return
	}
	switch target := v.Addr().Interface().(type) {
	case *time.Duration:
		d.duration(n, field, target)
		return
	case **time.Duration:
		if *target = nil; isText(n) && n.Value == "none" {
			return
		}
		*target = new(time.Duration)
		d.duration(n, field, *target)
		return
	case *map[string]any:
		if d.isKind(n, field, yaml.MappingNode, "a mapping") {
			*target, _ = d.any(n, field, depth).(map[string]any)
		}
		return
	}
	d.byKind(n, field, v, depth)
}

func (d *decoder) byKind(n *yaml.Node, field string, v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(d.text(n, field))
	case reflect.Bool:
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" || n.Decode(v.Addr().Interface()) != nil {
			d.wrong(n, field, "true or false")
		}
	case reflect.Int, reflect.Uint64:
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" || n.Decode(v.Addr().Interface()) != nil {
			d.wrong(n, field, "a whole number in range")
		}
	case reflect.Pointer:
		if n.Value == "null" && n.ShortTag() == "!!null" {
			return // said outright; an empty value could be a slip
		}
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, field, v.Elem(), depth)
	case reflect.Slice:
		d.slice(n, field, v, depth)
	case reflect.Map:
		d.mapping(n, field, v, depth)
	case reflect.Struct:
		d.structure(n, field, v, depth)
	}
}

func (d *decoder) slice(n *yaml.Node, field string, v reflect.Value, depth int) {
	if !d.isKind(n, field, yaml.SequenceNode, "a list") || len(n.Content) == 0 {
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, c := range n.Content {
		d.value(c, fmt.Sprintf("%s[%d]", field, i), v.Index(i), depth+1)
	}
}

func (d *decoder) mapping(n *yaml.Node, field string, v reflect.Value, depth int) {
	if !d.isKind(n, field, yaml.MappingNode, "a mapping") || len(n.Content) == 0 {
		return
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(n.Content)/2))
	d.eachKey(n, field, depth, func(key string, _, value *yaml.Node) {
		item := reflect.New(v.Type().Elem()).Elem()
		d.value(value, join(field, shorten(key)), item, depth+1)
		v.SetMapIndex(reflect.ValueOf(key), item)
	})
}

func (d *decoder) structure(n *yaml.Node, field string, v reflect.Value, depth int) {
	if !d.isKind(n, field, yaml.MappingNode, "a mapping") {
		return
	}
	names := make([]string, v.NumField())
	for i := range names {
		names[i] = v.Type().Field(i).Tag.Get("yaml")
	}
	d.eachKey(n, field, depth, func(key string, at, value *yaml.Node) {
		for i, name := range names {
			if name == key {
				d.value(value, join(field, name), v.Field(i), depth+1)
				return
			}
		}
		d.add(at.Line, field, "there is no field %s here%s", quoteShort(key), nearest.Hint(key, names))
	})
}

// eachKey visits the entries of a mapping, refusing keys that are no text and
// keys that stand there twice.
func (d *decoder) eachKey(n *yaml.Node, field string, depth int, visit func(key string, at, value *yaml.Node)) {
	seen := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		at := n.Content[i]
		if !d.plain(at, field, depth+1) {
			continue
		}
		if !isText(at) {
			d.wrong(at, field, "a text as the name of an entry")
			continue
		}
		if first, twice := seen[at.Value]; twice {
			d.add(at.Line, field, "%s stands here a second time; the first is in line %d", quoteShort(at.Value), first)
			continue
		}
		seen[at.Value] = at.Line
		visit(at.Value, at, n.Content[i+1])
	}
}

// plain refuses what makes a YAML file mean something else than it looks like.
func (d *decoder) plain(n *yaml.Node, field string, depth int) bool {
	switch {
	case depth > maxDepth:
		d.add(n.Line, field, "values are nested deeper than %d", maxDepth)
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		d.add(n.Line, field, "anchors and aliases ('&', '*') are not accepted; write the value itself")
	case n.ShortTag() == "!!merge":
		d.add(n.Line, field, "merge keys ('<<') are not accepted; write the values themselves")
	case n.Style&yaml.TaggedStyle != 0:
		d.add(n.Line, field, "tags ('!') are not accepted; write the value alone")
	default:
		return true
	}
	return false
}

func isText(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" }

func (d *decoder) text(n *yaml.Node, field string) string {
	if !isText(n) {
		d.wrong(n, field, "a text")
	}
	return n.Value
}

func (d *decoder) isKind(n *yaml.Node, field string, kind yaml.Kind, want string) bool {
	if n.Kind != kind {
		d.wrong(n, field, want)
	}
	return n.Kind == kind
}

// wrong reports a value of the wrong type and how to write it.
func (d *decoder) wrong(n *yaml.Node, field, want string) {
	found, help := "", ""
	switch n.ShortTag() {
	case "!!map":
		found = "a mapping"
	case "!!seq":
		found = "a list"
	case "!!null":
		found = "nothing"
		if want == "a text" && n.Value != "" {
			found, help = n.Value, fmt.Sprintf("; write it in quotes: %q", n.Value)
		} else if want == "a text" {
			help = `; write "" for an empty text, or leave the field out`
		}
	case "!!str":
		found = "the text " + quoteShort(n.Value)
	default:
		found = kindName(n.ShortTag()) + " " + shorten(n.Value)
		if strings.HasPrefix(want, "a text") {
			help = fmt.Sprintf(`; write it in quotes: "%s"`, shorten(n.Value))
		}
	}
	d.add(n.Line, field, "this must be %s, not %s%s", want, found, help)
}

func kindName(tag string) string {
	switch tag {
	case "!!int", "!!float":
		return "the number"
	case "!!bool":
		return "the truth value"
	case "!!timestamp":
		return "the date"
	}
	return "the value"
}

func (d *decoder) duration(n *yaml.Node, field string, target *time.Duration) {
	const want = "a length of time such as 10s, 500ms or 2m"
	if !isText(n) {
		d.wrong(n, field, want)
		return
	}
	v, err := time.ParseDuration(n.Value)
	if err != nil {
		d.wrong(n, field, want)
		return
	}
	if v <= 0 {
		d.add(n.Line, field, "%s is not more than nothing; write %s", n.Value, want)
		return
	}
	*target = v
}

// any decodes a value of any type for a hook's configuration.
func (d *decoder) any(n *yaml.Node, field string, depth int) any {
	if !d.plain(n, field, depth) {
		return nil
	}
	switch n.ShortTag() {
	case "!!map":
		m := make(map[string]any, len(n.Content)/2)
		d.eachKey(n, field, depth, func(key string, _, value *yaml.Node) {
			m[key] = d.any(value, join(field, shorten(key)), depth+1)
		})
		return m
	case "!!seq":
		list := make([]any, len(n.Content))
		for i, c := range n.Content {
			list[i] = d.any(c, fmt.Sprintf("%s[%d]", field, i), depth+1)
		}
		return list
	case "!!str":
		return n.Value
	case "!!null":
		return nil
	case "!!bool":
		var b bool
		if n.Decode(&b) == nil {
			return b
		}
	case "!!int":
		var i int64
		if n.Decode(&i) == nil {
			return i
		}
	case "!!float":
		f, err := strconv.ParseFloat(n.Value, 64)
		if err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
			return f
		}
	}
	d.wrong(n, field, "a text, a whole number of 64 bits, a finite number, true, false, null, a list or a mapping")
	return nil
}
