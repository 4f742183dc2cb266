package policy

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/nearest"
)

// resolveConfine reads a merged layer's confinement, which has been held
// against the schema, and gives it with the form that rules see: every key
// there, every limit a pair.
func resolveConfine(d document) (admission.Confine, document, error) {
	short, _ := d["limits"].(document)
	limits := document{}
	for name, v := range short {
		if n, ok := v.(json.Number); ok {
			v = document{"soft": n, "hard": n}
		}
		limits[name] = v
	}
	full := merge("", d, nil)
	full["limits"] = limits
	text, err := json.Marshal(full)
	if err != nil {
		return admission.Confine{}, nil, err
	}
	var c admission.Confine
	if err := json.Unmarshal(text, &c); err != nil {
		return c, nil, fmt.Errorf("confine: %w", err)
	}
	c.Check(func(field, problem, word string, known []string) {
		if err == nil {
			err = fmt.Errorf("confine.%s: %s%s", field, problem, nearest.Hint(word, known))
		}
	})
	if err != nil {
		return c, nil, err
	}
	if text, err = json.Marshal(&c); err != nil {
		return c, nil, err
	}
	n, err := parseJSON(text)
	if err != nil {
		return c, nil, err
	}
	c = admission.Confine{}
	if err := json.Unmarshal(text, &c); err != nil {
		return c, nil, err
	}
	return c, n.plain().(document), nil
}

// mergeDrops joins two lists of capabilities of which either may be "all".
func mergeDrops(base, over any) any {
	if base == "all" || over == "all" {
		return "all"
	}
	return union(base, over)
}

func (d *decoder) confine(at string, v ast.Value) admission.Confine {
	c := admission.Confine{Limits: admission.Limits{}}
	d.object(at, v, members{
		"no_new_privs":  func(at string, v ast.Value) { c.NoNewPrivs = d.boolean(at, v) },
		"umask":         func(at string, v ast.Value) { c.Umask = d.text(at, v) },
		"nice":          func(at string, v ast.Value) { c.Nice = d.number(at, v) },
		"oom_score_adj": func(at string, v ast.Value) { c.OOMScoreAdj = d.number(at, v) },
		"cgroup":        func(at string, v ast.Value) { c.Cgroup = d.text(at, v) },
		"drop_caps": func(at string, v ast.Value) {
			if s, ok := v.(ast.String); ok && s == "all" {
				c.DropCaps.All = true
				return
			}
			c.DropCaps.Names = d.texts(at, v)
		},
		"limits":   func(at string, v ast.Value) { d.limits(at, v, c.Limits) },
		"landlock": func(at string, v ast.Value) { c.Landlock = d.landlock(at, v) },
	})
	c.Check(func(field, problem, _ string, _ []string) { d.fail(at, "%s: %s", field, problem) })
	return c
}

// number is a small integer or null.
func (d *decoder) number(at string, v ast.Value) *int {
	if _, ok := v.(ast.Null); ok {
		return nil
	}
	n := int(d.integer(at, v))
	return &n
}

func (d *decoder) limits(at string, v ast.Value, limits admission.Limits) {
	object, ok := v.(ast.Object)
	if !ok {
		d.fail(at, "is %s, want an object", ast.ValueName(v))
		return
	}
	object.Foreach(func(k, value *ast.Term) {
		name, _ := k.Value.(ast.String)
		var limit admission.Limit
		d.object(at, value.Value, members{
			"soft": func(at string, v ast.Value) { limit.Soft = d.unsigned(at, v) },
			"hard": func(at string, v ast.Value) { limit.Hard = d.unsigned(at, v) },
		})
		limits[string(name)] = limit
	})
}

func (d *decoder) unsigned(at string, v ast.Value) uint64 {
	n, ok := v.(ast.Number)
	i, err := strconv.ParseUint(string(n), 10, 64)
	if !ok || err != nil {
		d.fail(at, "is no whole number")
	}
	return i
}

func (d *decoder) landlock(at string, v ast.Value) *admission.Landlock {
	if _, ok := v.(ast.Null); ok {
		return nil
	}
	l := &admission.Landlock{}
	d.object(at, v, members{
		"read":  func(at string, v ast.Value) { l.Read = d.texts(at, v) },
		"write": func(at string, v ast.Value) { l.Write = d.texts(at, v) },
		"exec":  func(at string, v ast.Value) { l.Exec = d.texts(at, v) },
	})
	return l
}
