package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/spawnward/spawnward/policy/internal/sources"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/fault"
	"github.com/spawnward/spawnward/spawner/nearest"
)

// siteSets are the rules through which a site speaks; all others must be
// reached from one of them.
func siteSets() []string { return []string{"deny", "grant", "warn"} }

// compileSite parses, lints and compiles a site's modules, with every check of
// the compiler and the types of input and configuration, and begins to link them
// with the compiled library.
func (e *Engine) compileSite(library func() map[string]*ast.Module, s *site) error {
	caps := sources.Capabilities()
	modules := make(map[string]*ast.Module, len(s.modules))
	for _, f := range s.modules {
		m, err := sources.Parse(sources.File{Name: f.name, Text: f.text}, caps)
		if err != nil {
			return invalid(err)
		}
		if err := lintModule(m); err != nil {
			return err
		}
		if err := e.declareCodes(m); err != nil {
			return err
		}
		modules[f.name] = m
		e.wantParent = e.wantParent || readsParent(m)
		e.reads = max(e.reads, settingsRead(m))
		e.warnings = append(e.warnings, advisory(m)...)
	}
	c, err := checked(modules, caps)
	if err != nil {
		return invalid(err)
	}
	var config *schema
	if slices.ContainsFunc(slices.Collect(maps.Values(modules)), readsSettings) {
		if config, err = loadSchema("effective.json"); err != nil {
			return invalid(err)
		}
	}
	for _, f := range s.modules {
		if err := lintCompiled(c, c.Modules[f.name], config); err != nil {
			return err
		}
		if err := lintEvery(c, c.Modules[f.name]); err != nil {
			return err
		}
		if err := e.lintCodes(c.Modules[f.name]); err != nil {
			return err
		}
		modules[f.name] = c.Modules[f.name]
	}
	e.compiler = linked(func() map[string]*ast.Module {
		all := library()
		maps.Copy(all, modules)
		return all
	})
	return nil
}

// parentRef is where input has the facts of the launcher's parent process.
func parentRef() ast.Ref {
	return ast.Ref{ast.InputRootDocument, ast.StringTerm("caller"), ast.StringTerm("parent")}
}

// readsParent reports whether a module refers to the digest of the launcher's
// parent process, or to something that may hold it.
func readsParent(m *ast.Module) bool {
	digest := parentRef().Append(ast.StringTerm("sha256"))
	found := false
	ast.WalkRefs(m, func(r ast.Ref) bool {
		found = found || (len(r) > 1 && (r.HasPrefix(digest) || digest.HasPrefix(r.GroundPrefix()))) ||
			(len(r) == 1 && r.Equal(ast.InputRootRef))
		return found
	})
	return found
}

// advisory warns of rules that rest on what the launcher's parent process says
// of itself: any program of the user can arrange that.
func advisory(m *ast.Module) []Warning {
	var out []Warning
	parent := parentRef()
	for _, r := range m.Rules {
		ast.WalkRefs(r, func(ref ast.Ref) bool {
			if ref.HasPrefix(parent) && len(out) < 100 {
				out = append(out, Warning{AdvisoryFact, fmt.Sprintf("%s:%d", r.Location.File, r.Location.Row), fmt.Sprintf(
					"%s is advisory: any program of the launching user can arrange it; let no denial rest on it alone", ref)})
			}
			return false
		})
	}
	return out
}

// at places a lint error.
func at(loc *ast.Location, format string, args ...any) error {
	where := ""
	if loc != nil {
		where = fmt.Sprintf("%s:%d", loc.File, loc.Row)
	}
	return &Error{C: code.PolicyInvalid, Where: where, Err: fmt.Errorf(format, args...)}
}

// lintModule holds a site's module against what a site may write.
func lintModule(m *ast.Module) error {
	if p := m.Package.Path; len(p) != 3 || !p[1].Equal(ast.StringTerm("site")) {
		return at(m.Package.Location, "a site's packages are site.<area>, not %s; rename the package", strings.TrimPrefix(p.String(), "data."))
	}
	var found error
	ast.WalkWiths(m, func(w *ast.With) bool {
		if fault.Mutant("lint-no-with") {
			return true
		}
		found = at(w.Location, "'with' is for tests; write what the rule needs as a condition")
		return true
	})
	for _, a := range m.Annotations {
		if len(a.Schemas) > 0 {
			found = at(a.Location, "'schemas' is set by the launcher; remove it")
		}
	}
	for _, r := range m.Rules {
		if found == nil {
			found = lintHead(r)
		}
	}
	return found
}

// lintHead demands that deny, warn and grant are partial sets.
func lintHead(r *ast.Rule) error {
	name := string(r.Head.Ref()[0].Value.(ast.Var))
	if !slices.Contains(siteSets(), name) {
		return nil
	}
	if len(r.Head.Ref()) != 1 || r.Head.RuleKind() != ast.MultiValue || r.Default || len(r.Head.Args) > 0 {
		return at(r.Location, "%[1]s must be a set: write '%[1]s contains {…} if {…}'", name)
	}
	return nil
}

// lintTest refuses rules that take part in decisions in a file which by its name
// is a test, and so takes part in none. What else is wrong with a test, running it
// tells.
func lintTest(f source) error {
	m, err := sources.Parse(sources.File{Name: f.name, Text: f.text}, nil)
	if err != nil {
		return nil
	}
	for _, r := range m.Rules {
		name := string(r.Head.Ref()[0].Value.(ast.Var))
		if len(m.Package.Path) > 1 && m.Package.Path[1].Equal(ast.StringTerm("site")) && slices.Contains(siteSets(), name) {
			return at(r.Location, "%s decides nothing in a file that is called *_test.rego; move it, or give the file another name", name)
		}
	}
	return nil
}

// lintCompiled finds rules that nothing reaches and references to data that is
// not there. Either is a rule that would silently decide nothing.
func lintCompiled(c *ast.Compiler, m *ast.Module, config *schema) error {
	reached := reachable(c)
	for _, r := range m.Rules {
		if !reached[r.Ref().GroundPrefix().String()] && !fault.Mutant("lint-no-reach") {
			name := r.Head.Ref()[0].Value.String()
			return at(r.Location, "nothing uses the rule %s%s; only deny, warn, grant and what they refer to take part in a decision",
				name, nearest.Hint(name, siteSets()))
		}
	}
	var found error
	ast.WalkRefs(m, func(r ast.Ref) bool {
		if found == nil && !fault.Mutant("lint-no-references") && !resolves(c, r, config) {
			loc := r[0].Location
			if loc == nil {
				loc = m.Package.Location
			}
			found = at(loc, "%s %s; a site can refer to data.site, data.config, data.catalog and data.launch.lib", r, why(r))
		}
		return found != nil
	})
	return found
}

// reachable gives the paths of all rules that take part in a decision.
func reachable(c *ast.Compiler) map[string]bool {
	reached := map[string]bool{}
	var follow func(r *ast.Rule)
	follow = func(r *ast.Rule) {
		path := r.Ref().GroundPrefix().String()
		if reached[path] {
			return
		}
		reached[path] = true
		for _, sibling := range c.GetRulesExact(r.Ref().GroundPrefix()) {
			for dependency := range c.Graph.Dependencies(sibling) {
				follow(dependency.(*ast.Rule))
			}
		}
	}
	for _, m := range c.Modules {
		if len(m.Package.Path) != 3 || !m.Package.Path[1].Equal(ast.StringTerm("site")) {
			continue
		}
		for _, r := range m.Rules {
			if slices.Contains(siteSets(), string(r.Head.Ref()[0].Value.(ast.Var))) {
				follow(r)
			}
		}
	}
	return reached
}

// resolves reports whether a reference to data leads to a rule or to one of the
// documents that are there.
func resolves(c *ast.Compiler, r ast.Ref, config *schema) bool {
	if !r.HasPrefix(ast.DefaultRootRef) || len(r) < 2 {
		return len(r) != 1 || !r[0].Equal(ast.DefaultRootDocument)
	}
	switch top, _ := r[1].Value.(ast.String); string(top) {
	case "config":
		return config != nil && config.has(config, r[2:])
	case "catalog":
		entry, err := loadSchema("catalog.json")
		return err == nil && entry.has(entry, r[2:])
	case "launch":
		if len(r) < 3 || !r[2].Equal(ast.StringTerm("lib")) {
			return false
		}
	case "site":
	default:
		return false
	}
	node := c.RuleTree.Child(r[0].Value)
	for _, t := range r[1:] {
		if len(node.Values) > 0 || !t.IsGround() {
			return true
		}
		if node = node.Child(t.Value); node == nil {
			return false
		}
	}
	return len(node.Values) > 0 || len(node.Children) > 0
}

// why says what is wrong with a reference that does not resolve.
func why(r ast.Ref) string {
	if len(r) > 1 && r[1].Equal(ast.StringTerm("launch")) && (len(r) < 3 || !r[2].Equal(ast.StringTerm("lib"))) {
		return "is not a site's to read: the decision reads what the site says, which would be recursive"
	}
	return "is not there"
}

// has reports whether a document of this schema can have what path refers to.
func (s *schema) has(root *schema, path ast.Ref) bool {
	if s.Ref != "" {
		s = root.Definitions[strings.TrimPrefix(s.Ref, "#/definitions/")]
	}
	if len(path) == 0 || s == nil {
		return s != nil
	}
	for _, one := range s.AnyOf {
		if one.has(root, path) {
			return true
		}
	}
	name, isText := path[0].Value.(ast.String)
	switch {
	case s.Type == "array":
		return s.Items.has(root, path[1:])
	case s.Type != "object":
		return false
	case isText && s.Properties[string(name)] != nil:
		return s.Properties[string(name)].has(root, path[1:])
	case s.Additional == nil:
		return !path[0].IsGround()
	}
	return s.Additional.has(root, path[1:])
}
