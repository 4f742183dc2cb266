package policy

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/spawnward/spawnward/policy/internal/compiled"
	"github.com/spawnward/spawnward/policy/internal/sources"
)

//go:generate go run ./internal/generate internal/compiled/library.go

// library is the part of a generation that does not come from a site.
type library struct {
	digest  string                        // of all its files
	modules func() map[string]*ast.Module // a copy for one generation
	config  document
	linked  func() *ast.Compiler // nil: not begun
}

// embedded is the library that was compiled when the program was built.
func embedded() library {
	return library{compiled.Digest, func() map[string]*ast.Module { return withoutDeleted(compiled.Modules()) }, compiled.Defaults(), nil}
}

// linked links modules while a launch has other things to do.
func linked(modules func() map[string]*ast.Module) func() *ast.Compiler {
	return ahead(func() *ast.Compiler { return link(modules()) })
}

// ahead begins with something on a goroutine of its own and gives what waits for
// it. A panic is that of who waits.
func ahead[T any](do func() T) func() T {
	wait := sync.OnceValue(do)
	go func() {
		defer func() { _ = recover() }() // wait panics again
		wait()
	}()
	return wait
}

// link gives a compiler for evaluation with nothing but compiled modules: only
// their trees and indices are built.
func link(modules map[string]*ast.Module) *ast.Compiler {
	needed := []ast.StageID{ast.StageSetModuleTree, ast.StageSetRuleTree, ast.StageBuildRuleIndices, ast.StageBuildComprehensionIndices}
	skipped := slices.DeleteFunc(ast.AllStages(), func(s ast.StageID) bool { return slices.Contains(needed, s) })
	c := ast.NewCompiler().WithCapabilities(&ast.Capabilities{AllowNet: []string{}}).WithSkipStages(skipped...)
	c.WithStageAfterID(ast.StageSetModuleTree, insert(modules)).Compile(nil)
	return c
}

// checked compiles a site's modules with every check, beside the sources of
// launch/lib, the only part of the library that it can refer to. The compiler
// that is given is for looking at them: what evaluates them links them with the
// library.
func checked(site map[string]*ast.Module, caps *ast.Capabilities) (*ast.Compiler, error) {
	fresh := maps.Clone(site)
	if err := addLib(fresh, caps); err != nil {
		return nil, err
	}
	data := slices.ContainsFunc(slices.Collect(maps.Values(site)), readsSettings)
	if data {
		if err := addTypes(fresh); err != nil {
			return nil, err
		}
	}
	c, err := sources.NewCompilerFor(fresh, compiled.InputPart, caps, data)
	if err != nil {
		return nil, err
	}
	c.WithSkipStages(ast.StageBuildRuleIndices, ast.StageBuildComprehensionIndices, ast.StageBuildRequiredCapabilities).Compile(fresh)
	if c.Failed() {
		return nil, c.Errors
	}
	return c, nil
}

// addLib parses launch/lib if one of the modules may refer to it.
func addLib(modules map[string]*ast.Module, caps *ast.Capabilities) error {
	if !slices.ContainsFunc(slices.Collect(maps.Values(modules)), readsLibrary) {
		return nil
	}
	files, err := sources.Files()
	if err != nil {
		return err
	}
	for _, f := range files {
		if !strings.HasPrefix(f.Name, "launch/lib/") {
			continue
		}
		if modules[f.Name], err = sources.Parse(f, caps); err != nil {
			return err
		}
	}
	return nil
}

// addTypes adds the modules that give configuration and catalogue their types.
func addTypes(modules map[string]*ast.Module) error {
	types, err := sources.DataTypes()
	for _, m := range types {
		modules[m.Package.Location.File] = m
	}
	return err
}

// readsSettings reports whether a module that was only parsed refers to the
// configuration or the catalogue, itself or through the library.
func readsSettings(m *ast.Module) bool { return readsData(m, "config", "catalog", "launch") }

// readsLibrary reports whether a module that was only parsed refers to
// data.launch, or to something that may hold it.
func readsLibrary(m *ast.Module) bool { return readsData(m, "launch") }

// readsData reports whether a module refers to one of these parts of data, or
// to one that is not known before it runs.
func readsData(m *ast.Module, parts ...string) bool {
	found := false
	ast.WalkRefs(m, func(r ast.Ref) bool {
		if r[0].Equal(ast.DefaultRootDocument) {
			name, known := ast.String(""), false
			if len(r) > 1 {
				name, known = r[1].Value.(ast.String)
			}
			found = found || !known || slices.Contains(parts, string(name))
		}
		return found
	})
	return found
}

// insert is a stage that puts compiled modules into a compiler.
func insert(modules map[string]*ast.Module) ast.CompilerStageDefinition {
	return ast.CompilerStageDefinition{Name: "InsertCompiled", MetricName: "insert_compiled", Stage: func(c *ast.Compiler) *ast.Error {
		maps.Copy(c.Modules, modules)
		c.ModuleTree = ast.NewModuleTree(c.Modules)
		return nil
	}}
}
