// Package sources gives the embedded rules in the forms that loading and
// generating need: their text, and compiled with every check.
package sources

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/spawnward/spawnward/rego"
)

// ConfigName is the default configuration among the files.
const ConfigName = "launch/data.json"

// File is one file of the library.
type File struct {
	Name string // relative, with slashes
	Text []byte
}

// Files gives the embedded rules without their tests, and the default
// configuration, in the order of their names.
func Files() ([]File, error) {
	var files []File
	err := fs.WalkDir(rego.Library, "launch", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !isRules(name) && name != ConfigName {
			return err
		}
		text, err := rego.Library.ReadFile(name)
		files = append(files, File{name, text})
		return err
	})
	return files, err
}

func isRules(name string) bool {
	return path.Ext(name) == ".rego" && !strings.HasSuffix(name, "_test.rego")
}

// Rules are the files that hold rules.
func Rules(files []File) []File {
	return slices.DeleteFunc(slices.Clone(files), func(f File) bool { return !isRules(f.Name) })
}

// Compile parses rules and compiles them with every check of the compiler: the
// strict ones, the functions that policy may call, and the types of input.
func Compile(rules []File) (*ast.Compiler, error) {
	caps := Capabilities()
	modules := make(map[string]*ast.Module, len(rules))
	for _, f := range rules {
		m, err := Parse(f, caps)
		if err != nil {
			return nil, err
		}
		modules[f.Name] = m
	}
	c, err := NewCompiler(caps, false)
	if err != nil {
		return nil, err
	}
	if c.Compile(modules); c.Failed() {
		return nil, c.Errors
	}
	return c, nil
}

// Parse reads one module. Its error begins with file and line.
func Parse(f File, caps *ast.Capabilities) (*ast.Module, error) {
	m, err := ast.ParseModuleWithOpts(f.Name, string(f.Text), ast.ParserOptions{
		Capabilities: caps, ProcessAnnotation: true, RegoVersion: ast.RegoV1,
	})
	if err == nil && m == nil {
		err = fmt.Errorf("%s: %w", f.Name, errors.New("the module is empty"))
	}
	return m, err
}

// NewCompiler gives a compiler that makes every check. With data, modules of
// [DataTypes] among those that are compiled give data its types.
func NewCompiler(caps *ast.Capabilities, data bool) (*ast.Compiler, error) {
	return newCompiler(&wanted{all: true}, nil, caps, data)
}

// NewCompilerFor gives such a compiler for these modules, which were only parsed:
// it knows the types of no more of input than they refer to.
func NewCompilerFor(modules map[string]*ast.Module, parts Parts, caps *ast.Capabilities, data bool) (*ast.Compiler, error) {
	return newCompiler(wantedInput(modules), parts, caps, data)
}

func newCompiler(w *wanted, parts Parts, caps *ast.Capabilities, data bool) (*ast.Compiler, error) {
	schemas, err := typeSchemas(data, w, parts)
	if err != nil {
		return nil, err
	}
	return ast.NewCompiler().WithCapabilities(caps).WithStrict(true).WithSchemas(schemas).WithUseTypeCheckAnnotations(data), nil
}

// Digest covers the files' number and each file's name and text.
func Digest(files []File) string {
	h := sha256.New()
	var n [8]byte
	add := func(b []byte) {
		binary.BigEndian.PutUint64(n[:], uint64(len(b)))
		h.Write(n[:])
		h.Write(b)
	}
	binary.BigEndian.PutUint64(n[:], uint64(len(files)))
	h.Write(n[:])
	for _, f := range files {
		add([]byte(f.Name))
		add(f.Text)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}
