package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/spawnward/spawnward/rego"
	"github.com/spawnward/spawnward/spawner/code"
)

// source is one file of a generation.
type source struct {
	name string // relative, with slashes
	text []byte
}

// libraryFiles gives the embedded rules without their tests, in the order of
// their names, and the default configuration.
func libraryFiles() (modules []source, config source, err error) {
	err = fs.WalkDir(rego.Library, "launch", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		isModule := path.Ext(name) == ".rego" && !strings.HasSuffix(name, "_test.rego")
		if !isModule && name != "launch/data.json" {
			return nil
		}
		text, err := rego.Library.ReadFile(name)
		if isModule {
			modules = append(modules, source{name, text})
		} else {
			config = source{name, text}
		}
		return err
	})
	return modules, config, err
}

// defaultConfig reads the embedded configuration.
func defaultConfig(s source) (document, error) {
	dec := json.NewDecoder(bytes.NewReader(s.text))
	dec.UseNumber()
	var out document
	if err := dec.Decode(&out); err != nil {
		return nil, &Error{C: code.PolicyInvalid, Where: s.name, Err: err}
	}
	return out, nil
}

// parseLibrary reads the embedded modules on two goroutines: parsing is half of
// what loading costs.
func parseLibrary(files []source, caps *ast.Capabilities) (map[string]*ast.Module, error) {
	parsed := make([]*ast.Module, len(files))
	errs := make([]error, len(files))
	var next atomic.Int64
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(files); i = next.Add(1) - 1 {
				parsed[i], errs[i] = parseModule(source{files[i].name, withoutComments(files[i].text)}, caps, false)
			}
		})
	}
	wait.Wait()
	modules := make(map[string]*ast.Module, len(files))
	for i, f := range files {
		modules[f.name] = parsed[i]
	}
	return modules, errors.Join(errs...)
}

// withoutComments drops the lines that only hold a comment. Line numbers stay.
func withoutComments(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for line := range bytes.Lines(text) {
		if bytes.HasPrefix(line, []byte("#")) {
			line = line[len(line)-1:]
		}
		out = append(out, line...)
	}
	return out
}

// parseModule reads one module. Annotations are only read from a site's: those
// of the library are checked by its tests.
func parseModule(s source, caps *ast.Capabilities, annotations bool) (*ast.Module, error) {
	m, err := ast.ParseModuleWithOpts(s.name, string(s.text), ast.ParserOptions{
		Capabilities: caps, ProcessAnnotation: annotations, RegoVersion: ast.RegoV1,
	})
	if err != nil {
		return nil, invalid(err)
	}
	if m == nil {
		return nil, &Error{C: code.PolicyInvalid, Where: s.name, Err: fmt.Errorf("the module is empty")}
	}
	return m, nil
}

// checkOnly are the compiler's stages that change nothing in the library, or
// nothing that evaluation needs. The library's tests run them all; a process
// that loads the library alone need not.
func checkOnly() []ast.StageID {
	return []ast.StageID{
		ast.StageCheckUnusedImports, ast.StageCheckKeywordOverrides, ast.StageCheckDuplicateImports, ast.StageCheckVoidCalls,
		ast.StageParseMetadataBlocks, ast.StageSetAnnotationSet, ast.StageRewriteRegoMetadataCalls, ast.StageCheckRuleConflicts,
		ast.StageCheckUndefinedFuncs, ast.StageCheckSafetyRuleHeads, ast.StageCheckRecursion, ast.StageCheckTypes,
		ast.StageCheckUnsafeBuiltins, ast.StageCheckDeprecatedBuiltins, ast.StageBuildRequiredCapabilities,
		ast.StageRewritePrintCalls, ast.StageSetGraph, ast.StageRewriteWithValues, ast.StageBuildComprehensionIndices,
	}
}

// compile makes modules ready for evaluation, strictly. The stages to skip are
// for a set of modules that has been checked before.
func compile(modules map[string]*ast.Module, caps *ast.Capabilities, skip ...ast.StageID) (*ast.Compiler, error) {
	c := ast.NewCompiler().WithCapabilities(caps).WithStrict(true).WithSkipStages(skip...)
	c.Compile(modules)
	if c.Failed() {
		return nil, invalid(c.Errors)
	}
	return c, nil
}

// invalid wraps an error of the parser or the compiler; its text begins with
// file and line.
func invalid(err error) error { return &Error{C: code.PolicyInvalid, Err: err} }
