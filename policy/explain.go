package policy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/spawnward/spawnward/spawner/admission"
)

// Explanation says how a decision came about; its JSON form is fixed by
// rego/schema/explain.json.
type Explanation struct {
	Decision admission.Decision `json:"decision"`
	// Fired are the rules that objected, warned or granted, as they stand in the
	// files.
	Fired []Fired `json:"fired"`
	// Looked is how many rules that may object, warn or grant were evaluated.
	Looked int `json:"looked"`
	// Remedies say what would make it allow.
	Remedies []Remedy `json:"remedies"`
}

// Fired is a rule that gave something.
type Fired struct {
	Rule string `json:"rule"` // "launch.rules.file.deny"
	Kind string `json:"kind"` // deny, warn or grant
	// Gave is the code, or the name of the grant.
	Gave string `json:"gave"`
	// Location is "file:line". Files of the library are named below rego, files
	// of a site below its directory.
	Location string `json:"location"`
	Facts    []Fact `json:"facts"`
}

// Fact is something that a rule read: a fact of the input, or a setting.
type Fact struct {
	Path string `json:"path"` // "input.binary.setuid", "config.binary.allow_setuid"
	// Value is a JSON value, and nil of what is not there. Values of variables of
	// the environment are left out.
	Value any `json:"value"`
}

// Explain decides anew and tells which rules fired and what they read. Its
// errors are those of [Engine.Decide].
func (e *Engine) Explain(ctx context.Context, in *admission.Input) (*Explanation, error) {
	d, err := e.Decide(ctx, in)
	if err != nil {
		return nil, err
	}
	_, t, err := e.traced(ctx, in)
	if err != nil {
		return nil, err
	}
	shown, err := e.input(withoutValues(in))
	if err != nil {
		return nil, err
	}
	x := &Explanation{Decision: d, Fired: []Fired{}, Remedies: e.Remedies(&d, in)}
	for _, run := range t.all {
		kind, ok := speaks(run.path)
		if !ok {
			continue
		}
		x.Looked++
		for _, given := range run.keys {
			f := Fired{Rule: strings.TrimPrefix(run.path, "data."), Kind: kind, Gave: gave(given), Location: locationOf(run.rule), Facts: []Fact{}}
			for _, path := range t.facts(run) {
				fact, err := e.fact(path, shown, in.Request.Service)
				if err != nil {
					return nil, err
				}
				f.Facts = append(f.Facts, fact)
			}
			x.Fired = append(x.Fired, f)
		}
	}
	slices.SortStableFunc(x.Fired, func(a, b Fired) int { return strings.Compare(a.Kind, b.Kind) })
	return x, nil
}

// speaks tells the rules that take part in a decision: deny, warn and grant of
// the library and of sites.
func speaks(path string) (kind string, ok bool) {
	parts := strings.Split(path, ".")
	kind = parts[len(parts)-1]
	inLibrary := strings.HasPrefix(path, "data.launch.rules.")
	return kind, slices.Contains(siteSets(), kind) && (inLibrary || strings.HasPrefix(path, "data.site."))
}

// gave is the code of a finding, or the text of a grant.
func gave(v ast.Value) string {
	if o, ok := v.(ast.Object); ok {
		if c := o.Get(ast.StringTerm("code")); c != nil {
			v = c.Value
		}
	}
	if s, ok := v.(ast.String); ok {
		return string(s)
	}
	return v.String()
}

func locationOf(r *ast.Rule) string {
	if r.Location == nil {
		return ""
	}
	return fmt.Sprintf("%s:%d", r.Location.File, r.Location.Row)
}

// fact looks a path up.
func (e *Engine) fact(path string, input *ast.Term, service string) (Fact, error) {
	ref, err := ast.ParseRef(path)
	if err != nil {
		return Fact{Path: path}, nil
	}
	f, root := Fact{Path: path}, input.Value
	rest := ref[1:]
	switch {
	case strings.HasPrefix(path, effectiveConfig+"."):
		f.Path = "config" + strings.TrimPrefix(path, effectiveConfig)
		b := newTermBuilder()
		if root, rest = b.term(e.config.of(service).rules).Value, ref[5:]; b.err != nil {
			return f, b.err
		}
	case strings.HasPrefix(path, "data."):
		whole, err := e.settings.whole()
		if err != nil {
			return f, err
		}
		f.Path, root = strings.TrimPrefix(path, "data."), whole.root
	}
	found, err := root.Find(rest)
	if err != nil {
		return f, nil
	}
	if f.Value, err = ast.JSON(found); err != nil {
		f.Value = found.String()
	}
	return f, nil
}

// withoutValues is for showing: names and origins stay.
func withoutValues(in *admission.Input) *admission.Input {
	out := *in
	strip := func(vars []admission.EnvVar) []admission.EnvVar {
		stripped := slices.Clone(vars)
		for i := range stripped {
			stripped[i].Value = "[masked]"
		}
		return stripped
	}
	out.Env, out.EnvFacts.Foreign = strip(in.Env), strip(in.EnvFacts.Foreign)
	return &out
}
