package service

import (
	"reflect"

	"go.yaml.in/yaml/v3"
)

func (c *DropCaps) decodeNode(d *decoder, n *yaml.Node, field string, depth int) {
	if isText(n) && n.Value == "all" {
		c.All = true
		return
	}
	if n.Kind != yaml.SequenceNode {
		d.wrong(n, field, `a list of names, or the word all`)
		return
	}
	d.byKind(n, field, reflect.ValueOf(&c.Names).Elem(), depth)
}

func (c *DropCaps) encodeNode(e encoder) *yaml.Node {
	if c.All {
		return e.text("all")
	}
	return e.value(reflect.ValueOf(c.Names))
}

// limitPair has the fields of Limit, but not its short form.
type limitPair Limit

func (l *Limit) decodeNode(d *decoder, n *yaml.Node, field string, depth int) {
	if n.Kind == yaml.MappingNode {
		if len(n.Content) != 4 {
			d.wrong(n, field, "one number, or both soft and hard")
		}
		d.byKind(n, field, reflect.ValueOf((*limitPair)(l)).Elem(), depth)
		return
	}
	d.byKind(n, field, reflect.ValueOf(&l.Soft).Elem(), depth)
	l.Hard = l.Soft
}

func (l *Limit) encodeNode(e encoder) *yaml.Node {
	if l.Soft == l.Hard {
		return e.value(reflect.ValueOf(l.Soft))
	}
	return e.value(reflect.ValueOf(limitPair(*l)))
}
