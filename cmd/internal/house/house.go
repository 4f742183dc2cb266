// Package house is this project's linter: the rules that neither the compiler
// nor a general tool knows. The tables in bans.go, imports.go and layout.go are
// its configuration; every entry carries its reason, and every place that may
// break a rule is listed with why. Its own test runs it over the whole tree.
//
// It reads source text only, so it sees the files of every operating system and
// build tag and gives the same findings everywhere.
package house

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Finding is one place that breaks a rule.
type Finding struct {
	Rule string // the banned name, or the name of a rule of this package
	File string // below the project's root, with forward slashes
	Line int
	Why  string
}

// String is the finding as compilers print theirs.
func (f Finding) String() string { return fmt.Sprintf("%s:%d: %s: %s", f.File, f.Line, f.Rule, f.Why) }

// file is one parsed Go file.
type file struct {
	name      string // below the root, with forward slashes
	syntax    *ast.File
	positions *token.FileSet
}

func parse(name string, text []byte) (*file, error) {
	positions := token.NewFileSet()
	syntax, err := parser.ParseFile(positions, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("read %s as Go: %w", name, err)
	}
	return &file{name: name, syntax: syntax, positions: positions}, nil
}

func (f *file) test() bool           { return strings.HasSuffix(f.name, "_test.go") }
func (f *file) generated() bool      { return ast.IsGenerated(f.syntax) }
func (f *file) line(p token.Pos) int { return f.positions.Position(p).Line }

func (f *file) finding(rule string, at token.Pos, why string) Finding {
	return Finding{Rule: rule, File: f.name, Line: f.line(at), Why: why}
}

// check applies every rule about single files.
func (f *file) check() []Finding {
	found := f.imports()
	if f.generated() {
		return found
	}
	found = append(found, f.banned()...)
	if f.test() {
		return found
	}
	return slices.Concat(found, f.globals(), f.lengths(), f.comments())
}

// Check reads the project below root and returns what breaks a rule, in the
// order of files and lines. An error means that a file could not be read or is
// not Go; then the findings are not complete.
func Check(root string) ([]Finding, error) {
	found, err := topLevel(root)
	if err != nil {
		return nil, err
	}
	fuzzed := map[string]bool{}
	used := map[exception]bool{}
	err = walk(root, func(name string, text []byte) error {
		found = append(found, unfinished(name, text)...)
		if path.Ext(name) != ".go" {
			return nil
		}
		f, err := parse(name, text)
		if err != nil {
			return err
		}
		if f.fuzzes() {
			fuzzed[path.Dir(name)] = true
		}
		for _, finding := range f.check() {
			if e, ok := excepted(finding, exceptions()); ok {
				used[e] = true
				continue
			}
			found = append(found, finding)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	found = slices.Concat(found, unfuzzed(fuzzed), stale(used))
	slices.SortStableFunc(found, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return found, nil
}

// walk calls visit for every text file of the project's own source.
func walk(root string, visit func(name string, text []byte) error) error {
	return filepath.WalkDir(root, func(at string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, at)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		switch {
		case d.IsDir() && (name == ".git" || name == ".cache" || d.Name() == "testdata"):
			return filepath.SkipDir
		case !d.Type().IsRegular() || !source(name):
			return nil
		}
		text, err := os.ReadFile(at)
		if err != nil {
			return err
		}
		return visit(name, text)
	})
}

// source reports whether a file is written by hand and for people.
func source(name string) bool {
	switch path.Ext(name) {
	case ".go", ".rego", ".proto", ".md", ".yaml", ".yml", ".sh":
		return true
	}
	return name == ".ci/run"
}
