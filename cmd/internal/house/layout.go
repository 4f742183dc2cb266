package house

import (
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
)

const (
	maxFuncLines = 60
	maxFileLines = 400
)

// topLevel finds what does not belong at the root of the project.
func topLevel(root string) ([]Finding, error) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, err
	}
	var found []Finding
	for _, e := range entries {
		if !belongs(e.Name(), e.IsDir()) {
			found = append(found, Finding{"top level", e.Name(), 0, "a newcomer reads the root first: put it below one of the directories that are there"})
		}
	}
	return found, nil
}

func belongs(name string, dir bool) bool {
	if strings.HasPrefix(name, ".") {
		return true
	}
	if dir {
		return slices.Contains([]string{"cmd", "spawner", "policy", "rego", "wasm", "conformance"}, name)
	}
	// The last three are what go build and go test leave and git ignores.
	return slices.Contains([]string{"go.mod", "go.sum", "README.md", "spawnward"}, name) ||
		slices.Contains([]string{".test", ".prof"}, path.Ext(name))
}

// unfinished finds marks that say the work is not done.
func unfinished(name string, text []byte) []Finding {
	mark := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|X` + `XX|HA` + `CK)\b`)
	var found []Finding
	for i, line := range strings.Split(string(text), "\n") {
		if m := mark.FindString(line); m != "" {
			found = append(found, Finding{"unfinished", name, i + 1, m + ": finish it, or write down elsewhere what is missing"})
		}
	}
	return found
}

// lengths finds files that are more than one idea and functions that are more
// than one step.
func (f *file) lengths() []Finding {
	var found []Finding
	if n := f.line(f.syntax.FileEnd); n > maxFileLines {
		found = append(found, f.finding("long file", f.syntax.Package, fmt.Sprintf("%d lines, at most %d: split it by idea", n, maxFileLines)))
	}
	for _, d := range f.syntax.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if n := f.line(fn.End()) - f.line(fn.Pos()) + 1; n > maxFuncLines {
			found = append(found, f.finding("long function", fn.Pos(), fmt.Sprintf("%s has %d lines, at most %d: name its steps", fn.Name.Name, n, maxFuncLines)))
		}
	}
	return found
}

// comments finds exported names without one.
func (f *file) comments() []Finding {
	var found []Finding
	missing := func(n *ast.Ident, docs ...*ast.CommentGroup) {
		if n.IsExported() && !slices.ContainsFunc(docs, func(d *ast.CommentGroup) bool { return d != nil }) {
			found = append(found, f.finding("comment", n.Pos(), n.Name+" is exported: say what it means, its unit, its errors and its promises"))
		}
	}
	for _, d := range f.syntax.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil || exportedReceiver(d.Recv.List[0].Type) {
				missing(d.Name, d.Doc)
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					missing(s.Name, d.Doc, s.Doc, s.Comment)
				case *ast.ValueSpec:
					for _, n := range s.Names {
						missing(n, d.Doc, s.Doc, s.Comment)
					}
				}
			}
		}
	}
	return found
}

func exportedReceiver(t ast.Expr) bool {
	switch t := t.(type) {
	case *ast.StarExpr:
		return exportedReceiver(t.X)
	case *ast.IndexExpr:
		return exportedReceiver(t.X)
	case *ast.IndexListExpr:
		return exportedReceiver(t.X)
	case *ast.Ident:
		return t.IsExported()
	}
	return true
}

// globals finds package variables that can change. Error values, embedded
// files and values that are computed once cannot, or nobody does.
func (f *file) globals() []Finding {
	var found []Finding
	for _, d := range f.syntax.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR || embedded(g.Doc) {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			for i, n := range v.Names {
				if n.Name == "_" || embedded(v.Doc) || i < len(v.Values) && constant(v.Values[i]) {
					continue
				}
				found = append(found, f.finding("global", n.Pos(), n.Name+" can change under everyone: make it a constant, a function or a field"))
			}
		}
	}
	return found
}

func embedded(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}

func constant(value ast.Expr) bool {
	call, ok := value.(*ast.CallExpr)
	if !ok {
		return false
	}
	s, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := s.X.(*ast.Ident)
	return ok && slices.Contains([]string{
		"errors.New", "fmt.Errorf", "regexp.MustCompile", "sync.OnceFunc", "sync.OnceValue", "sync.OnceValues",
	}, x.Name+"."+s.Sel.Name)
}

// readers are the packages that read bytes from outside.
func readers() map[string]string {
	return map[string]string{
		"spawner/backend": "probes",
		"spawner/probe":   "probe answers",
		"spawner/service": "definitions",
		"spawner/wire":    "frames",
		"policy":          "a site's data",
		"wasm":            "modules and replies",
	}
}

func (f *file) fuzzes() bool {
	return f.test() && slices.ContainsFunc(f.syntax.Decls, func(d ast.Decl) bool {
		fn, ok := d.(*ast.FuncDecl)
		return ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Fuzz")
	})
}

func unfuzzed(fuzzed map[string]bool) []Finding {
	var found []Finding
	for dir, what := range readers() {
		if !fuzzed[dir] {
			found = append(found, Finding{"fuzz", dir, 0, "it reads " + what + " from outside and has no fuzz target"})
		}
	}
	return found
}
