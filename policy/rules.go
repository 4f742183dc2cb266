package policy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/spawnward/spawnward/policy/internal/sources"
	"github.com/spawnward/spawnward/spawner/code"
)

// Rule is what is known of a code that policy can find: the level that the
// program holds it to, and what its rule's metadata say.
type Rule struct {
	Code        code.Code        `json:"code"`
	Package     string           `json:"package"` // of the rule, as in a decision
	Enforcement code.Enforcement `json:"enforcement"`
	Severity    string           `json:"severity"`
	Waivable    bool             `json:"waivable"`
	Title       string           `json:"title"`
	Remediation string           `json:"remediation"`
	Place       string           `json:"place"` // file and line; those of the library begin with launch/
}

// Rules lists the codes of the library, and of the site at path when that is
// not "", in the order in which a decision gives them.
func Rules(ctx context.Context, path string) ([]Rule, error) {
	l := &loading{o: Options{Path: path}, inspect: true, site: &site{}}
	e, err := l.run(ctx)
	if err != nil {
		return nil, err
	}
	files, err := sources.Files()
	if err != nil {
		return nil, err
	}
	files = sources.Rules(files)
	for _, f := range l.site.modules {
		files = append(files, sources.File{Name: f.name, Text: f.text})
	}
	out := []Rule{}
	for _, f := range files {
		m, err := sources.Parse(f, sources.Capabilities())
		if err != nil {
			return nil, invalid(err)
		}
		out = e.appendRules(out, m)
	}
	slices.SortStableFunc(out, func(a, b Rule) int {
		if d := e.codes[a.Code].order - e.codes[b.Code].order; d != 0 {
			return d
		}
		return strings.Compare(string(a.Code), string(b.Code))
	})
	return out, nil
}

func (e *Engine) appendRules(out []Rule, m *ast.Module) []Rule {
	for _, a := range m.Annotations {
		name, _ := a.Custom["code"].(string)
		c := code.Code(name)
		entry, known := e.codes[c]
		if !known {
			continue
		}
		out = append(out, Rule{
			Code: c, Package: strings.TrimPrefix(m.Package.Path.String(), "data."), Enforcement: entry.enforcement, Severity: entry.severity,
			Waivable: entry.waivable, Title: a.Title, Remediation: entry.remediation, Place: fmt.Sprintf("%s:%d", a.Location.File, a.Location.Row),
		})
	}
	return out
}
