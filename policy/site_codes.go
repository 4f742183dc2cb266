package policy

import (
	"errors"
	"fmt"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/nearest"
)

// declareCodes reads the codes that a module's annotations declare.
func (e *Engine) declareCodes(m *ast.Module) error {
	for _, a := range m.Annotations {
		raw, ok := a.Custom["code"]
		if !ok {
			continue
		}
		c, _ := raw.(string)
		if !isSiteCode(code.Code(c)) {
			return at(a.Location, "the code %v does not have the form site_[a-z0-9_]+; rename it", raw)
		}
		entry, err := siteEntry(a.Custom)
		if err != nil {
			return at(a.Location, "custom: %w", err)
		}
		if before, ok := e.codes[code.Code(c)]; ok && before != entry {
			return at(a.Location, "the code %s is declared twice with different settings; declare it once", c)
		}
		e.codes[code.Code(c)] = entry
	}
	return nil
}

// siteEntry reads a custom block; what it leaves out has a default.
func siteEntry(custom map[string]any) (codeEntry, error) {
	entry := defaultSiteEntry()
	known := []string{"code", "severity", "enforcement", "waivable", "remediation"}
	for key, v := range custom {
		text, isText := v.(string)
		flag, isFlag := v.(bool)
		switch {
		case key == "code":
		case key == "severity" && isText && slices.Contains([]string{"low", "medium", "high", "critical"}, text):
			entry.severity = text
		case key == "enforcement" && (text == string(code.Standard) || text == string(code.Mandatory)):
			entry.enforcement = code.Enforcement(text)
		case key == "waivable" && isFlag:
			entry.waivable = flag
		case key == "remediation" && isText:
			entry.remediation = text
		case !slices.Contains(known, key):
			return entry, fmt.Errorf("unknown key %q%s", key, nearest.Hint(key, known))
		default:
			return entry, fmt.Errorf("%s cannot be %v", key, v)
		}
	}
	if entry.enforcement == code.Mandatory {
		entry.waivable = false
	}
	return entry, nil
}

// defaultSiteEntry is what holds for a site code that declares nothing; the
// same stands in launch/main.rego.
func defaultSiteEntry() codeEntry {
	return codeEntry{
		severity: "medium", enforcement: code.Standard, waivable: true,
		remediation: "Ask the security team that owns the rule.", order: rankSite,
	}
}

// lintCodes demands that the codes which a module writes out are declared by
// the site: a finding with another one would make the decision an error.
func (e *Engine) lintCodes(m *ast.Module) error {
	var found error
	ast.WalkTerms(m, func(t *ast.Term) bool {
		o, ok := t.Value.(ast.Object)
		if !ok || found != nil || o.Get(ast.InternedTerm("message")) == nil {
			return found != nil
		}
		name := o.Get(ast.InternedTerm("code"))
		if name == nil {
			return false
		}
		if c, ok := name.Value.(ast.String); ok {
			found = e.undeclared(name.Location, code.Code(c))
		}
		return found != nil
	})
	return found
}

func (e *Engine) undeclared(where *ast.Location, c code.Code) error {
	_, known := e.codes[c]
	switch {
	case !isSiteCode(c):
		return at(where, "a site's codes have the form site_[a-z0-9_]+, not %q; rename it", string(c))
	case !known:
		return at(where, "no rule of the site declares the code %s%s; add it to the rule's # METADATA as custom: {code: %s}", c, nearest.Hint(string(c), codeNames(e.codes)), c)
	}
	return nil
}

// checkEnforcement refuses levels for codes that have none to choose.
func (e *Engine) checkEnforcement(config document) error {
	defaults, _ := config["defaults"].(document)
	layers := map[string]document{"defaults": defaults}
	services, _ := config["services"].(document)
	for name, s := range services {
		layers["services."+name] = s.(document)
	}
	for _, name := range sortedKeys(layers) {
		levels, _ := layers[name]["enforcement"].(document)
		for _, c := range sortedKeys(levels) {
			entry, known := e.codes[code.Code(c)]
			switch {
			case known && entry.enforcement == code.Mandatory:
				return fmt.Errorf("%s.enforcement.%s: the code is mandatory; remove the line", name, c)
			case code.Code(c) == code.WaiverExpired:
				return errors.New(name + ".enforcement.waiver_expired: is always a warning; remove the line")
			case !known && !isSiteCode(code.Code(c)):
				return fmt.Errorf("%s.enforcement.%s: there is no such code%s", name, c, nearest.Hint(c, codeNames(e.codes)))
			}
		}
	}
	return nil
}
