package policy

import (
	"fmt"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
)

// decodeDecision reads the document that the entry point gave. It accepts
// exactly the members that launch/main.rego writes, each once and of its type.
// What only the table of codes knows of a finding is not there yet; see
// [Engine.complete].
func decodeDecision(v ast.Value) (admission.Decision, error) {
	d := &decoder{}
	out := admission.Decision{
		Violations: []admission.Finding{}, Warnings: []admission.Finding{}, Waived: []admission.Waived{}, Grants: []string{},
		Obligations: admission.Obligations{Hooks: []string{}},
	}
	d.object("decision", v, members{
		"schema":      func(at string, v ast.Value) { out.Schema = int(d.integer(at, v)) },
		"allow":       func(at string, v ast.Value) { out.Allow = d.boolean(at, v) },
		"mode":        func(at string, v ast.Value) { out.Mode = d.text(at, v) },
		"violations":  func(at string, v ast.Value) { out.Violations = d.findings(at, v) },
		"warnings":    func(at string, v ast.Value) { out.Warnings = d.findings(at, v) },
		"waived":      func(at string, v ast.Value) { out.Waived = d.waived(at, v) },
		"grants":      func(at string, v ast.Value) { out.Grants = d.names(at, v) },
		"obligations": func(at string, v ast.Value) { out.Obligations = d.obligations(at, v) },
	})
	if d.err != nil {
		return admission.Decision{}, d.err
	}
	return out, nil
}

type members map[string]func(at string, v ast.Value)

// decoder keeps the first thing that does not fit.
type decoder struct{ err error }

func (d *decoder) fail(at, format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%s: %w", at, fmt.Errorf(format, args...))
	}
}

// object reads exactly the members that have a field, and those that are
// optional where they are there.
func (d *decoder) object(at string, v ast.Value, fields members, optional ...string) {
	object, ok := v.(ast.Object)
	if !ok {
		d.fail(at, "is %s, want an object", ast.ValueName(v))
		return
	}
	object.Foreach(func(k, value *ast.Term) {
		name, _ := k.Value.(ast.String)
		field, known := fields[string(name)]
		if !known {
			d.fail(at, "unknown member %v", k)
			return
		}
		field(string(name), value.Value)
	})
	if object.Len() == len(fields) {
		return
	}
	for name := range fields {
		if !slices.Contains(optional, name) && object.Get(ast.StringTerm(name)) == nil {
			d.fail(at, "member %q is missing", name)
		}
	}
}

func (d *decoder) each(at string, v ast.Value, f func(ast.Value)) {
	array, ok := v.(*ast.Array)
	if !ok {
		d.fail(at, "is %s, want an array", ast.ValueName(v))
		return
	}
	array.Foreach(func(t *ast.Term) { f(t.Value) })
}

func (d *decoder) member(at string, v ast.Value, f func(ast.Value)) {
	set, ok := v.(ast.Set)
	if !ok {
		d.fail(at, "is %s, want a set", ast.ValueName(v))
		return
	}
	set.Foreach(func(t *ast.Term) { f(t.Value) })
}

func (d *decoder) names(at string, v ast.Value) []string {
	out := []string{}
	d.member(at, v, func(v ast.Value) { out = append(out, d.text(at, v)) })
	return out
}

func (d *decoder) text(at string, v ast.Value) string {
	s, ok := v.(ast.String)
	if !ok {
		d.fail(at, "is %s, want a string", ast.ValueName(v))
	}
	return string(s)
}

func (d *decoder) boolean(at string, v ast.Value) bool {
	b, ok := v.(ast.Boolean)
	if !ok {
		d.fail(at, "is %s, want a boolean", ast.ValueName(v))
	}
	return ok && bool(b)
}

func (d *decoder) integer(at string, v ast.Value) int64 {
	n, ok := v.(ast.Number)
	i, exact := n.Int64()
	if !ok || !exact {
		d.fail(at, "is no integer")
	}
	return i
}

func (d *decoder) texts(at string, v ast.Value) []string {
	out := []string{}
	d.each(at, v, func(v ast.Value) { out = append(out, d.text(at, v)) })
	return out
}

// findings reads a set of them, in the order that sets have. Those of a site
// name their rule.
func (d *decoder) findings(at string, v ast.Value) []admission.Finding {
	out := []admission.Finding{}
	var f admission.Finding
	fields := members{
		"code":     func(at string, v ast.Value) { f.Code = code.Code(d.text(at, v)) },
		"message":  func(at string, v ast.Value) { f.Message = d.text(at, v) },
		"rule":     func(at string, v ast.Value) { f.Rule = d.text(at, v) },
		"evidence": func(at string, v ast.Value) { f.Evidence = d.evidence(at, v) },
	}
	d.member(at, v, func(v ast.Value) {
		f = admission.Finding{}
		d.object(at, v, fields, "rule")
		out = append(out, f)
	})
	return out
}

func (d *decoder) evidence(at string, v ast.Value) map[string]any {
	plain, err := ast.JSON(v)
	if err != nil {
		d.fail(at, "%w", err)
		return nil
	}
	object, ok := plain.(map[string]any)
	if !ok {
		d.fail(at, "is %s, want an object", ast.ValueName(v))
	}
	return object
}

func (d *decoder) waived(at string, v ast.Value) []admission.Waived {
	out := []admission.Waived{}
	d.each(at, v, func(v ast.Value) {
		var w admission.Waived
		d.object(at, v, members{
			"code":    func(at string, v ast.Value) { w.Code = code.Code(d.text(at, v)) },
			"waiver":  func(at string, v ast.Value) { w.Waiver = d.text(at, v) },
			"expires": func(at string, v ast.Value) { w.Expires = d.text(at, v) },
		})
		out = append(out, w)
	})
	return out
}

func (d *decoder) obligations(at string, v ast.Value) admission.Obligations {
	out := admission.Obligations{Hooks: []string{}}
	d.object(at, v, members{
		"binding": func(at string, v ast.Value) { out.Binding = admission.Binding(d.text(at, v)) },
		"hooks":   func(at string, v ast.Value) { out.Hooks = d.texts(at, v) },
		"confine": func(at string, v ast.Value) { out.Confine = d.confine(at, v) },
	})
	return out
}
