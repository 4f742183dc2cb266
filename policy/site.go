package policy

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/nearest"
)

// Limits of a site, as a directory or as a bundle.
const (
	maxSiteFiles   = 4096
	maxModuleBytes = 1 << 20
	maxDataBytes   = 64 << 20
)

// source is one file of a site.
type source struct {
	name string // relative, with slashes
	text []byte
}

// site is what a security team adds to the library. The zero site adds nothing.
type site struct {
	files    []source // everything that decides, by name
	modules  []source // the rules among them
	tests    []source // of the rules; nothing that decides
	parsed   map[string]*node
	pages    *pages // of an indexed bundle
	index    *index
	known    digestList // the catalogue, when it is in the index
	dataName string
	manifest manifest
	config   document
	waivers  document
	catalog  document
}

// invalid places an error in the site's data file.
func (s *site) invalid(where string, err error) error {
	if s.dataName != "" {
		where = s.dataName + ": " + where
	}
	return &Error{C: code.PolicyInvalid, Where: where, Err: err}
}

func invalidFile(name string, err error) error {
	var lined *linedError
	if errors.As(err, &lined) {
		return &Error{C: code.PolicyInvalid, Where: fmt.Sprintf("%s:%d", name, lined.line), Err: lined.err}
	}
	return &Error{C: code.PolicyInvalid, Where: name, Err: err}
}

// kind says what a site's file is for.
type kind int

const (
	prose kind = iota // no part of policy
	manifestFile
	dataFile
	ruleFile
	testFile
	indexFile
)

// limit is the size up to which files of the kind are read, in bytes.
func (k kind) limit() int64 {
	if k == dataFile || k == indexFile {
		return maxDataBytes
	}
	return maxModuleBytes
}

// classify says what a file is for, or why it cannot be in a site. Files that
// mean something to OPA and nothing here are refused: whoever put one there
// expects an effect.
func classify(name string) (kind, error) {
	base := path.Base(name)
	test := strings.HasSuffix(name, "_test.rego")
	switch {
	case name == ".manifest":
		return manifestFile, nil
	case base == ".manifest" || base == ".signatures.json" && name != base:
		return prose, fmt.Errorf("stands below the top of the site; move it there or remove it")
	case slices.Contains([]string{".manifest.pb", "patch.json", "policy.wasm", "plan.json", "plan.pb"}, base):
		return prose, errors.New("is not read; write rules and data as text, and the manifest as .manifest")
	case strings.HasPrefix(base, "."):
		return prose, nil
	case name == "data.yaml" || name == "data.json":
		return dataFile, nil
	case name == indexName:
		return indexFile, nil
	case misnamedData(name):
		return prose, errors.New("is not read; put the data into data.yaml or data.json beside the site directory")
	case path.Ext(name) != ".rego" && strings.EqualFold(path.Ext(name), ".rego"):
		return prose, errors.New("is not read; let its name end in .rego")
	case path.Ext(name) != ".rego":
		return prose, nil
	case test:
		return testFile, nil
	case !strings.HasPrefix(name, "site/") && !strings.Contains(name, "/site/"): // opa keeps the path it was given
		return prose, errors.New("stands outside site/; move it to site/<area>/")
	}
	return ruleFile, nil
}

// misnamedData tells files that somebody takes for data: data.* below the top or
// in other letters, and the parts of data in files of their own.
func misnamedData(name string) bool {
	base := strings.ToLower(path.Base(name))
	stem, ext := strings.TrimSuffix(base, path.Ext(base)), path.Ext(base)
	if strings.HasPrefix(base, "data.") {
		return ext != ".rego"
	}
	return name == path.Base(name) && slices.Contains([]string{"config", "waivers", "catalog"}, stem) && slices.Contains([]string{".yaml", ".yml", ".json"}, ext)
}

// readSite reads a site: a directory, or a bundle in one file. Nobody but root
// and the effective user may be able to write it or a directory above it. With
// keys only a bundle that one of them signed is accepted; it is given. With tests
// those of a directory are read too. found is called as soon as it is known which
// files there are.
func readSite(path string, keys []*Key, tests bool, found func([]source)) (*site, *Key, error) {
	files, err := readDirectory(path, tests)
	if errors.Is(err, syscall.ENOTDIR) {
		return readSigned(path, keys, found)
	}
	if err == nil && len(keys) > 0 {
		err = invalidFile(path, errors.New("is a directory, and only signed bundles are accepted here; "+
			"make one with 'policy build' and 'policy sign'"))
	}
	if err != nil {
		return nil, nil, err
	}
	found(files)
	s, err := assemble(files)
	if err != nil {
		return nil, nil, placed(path, err)
	}
	return s, nil, nil
}

func readSigned(path string, keys []*Key, found func([]source)) (*site, *Key, error) {
	files, p, err := readBundle(path)
	if err != nil {
		return nil, nil, err
	}
	found(files)
	s := &site{parsed: map[string]*node{}, pages: p}
	var by *Key
	if len(keys) > 0 {
		if by, err = s.verifySignature(files, keys); err != nil {
			return nil, nil, placed(path, err)
		}
	}
	if err := s.take(files); err != nil {
		return nil, nil, placed(path, err)
	}
	return s, by, nil
}

func assemble(files []source) (*site, error) { return assembleIndexed(files, nil) }

func assembleIndexed(files []source, p *pages) (*site, error) {
	s := &site{parsed: map[string]*node{}, pages: p}
	return s, s.take(files)
}

// placed keeps the place that an error has, or gives it one.
func placed(name string, err error) error {
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	return invalidFile(name, err)
}

// take sorts the files by name, so that a directory and the bundle made of it
// are the same policy, and reads what is in them.
func (s *site) take(files []source) error {
	slices.SortFunc(files, func(a, b source) int { return strings.Compare(a.name, b.name) })
	for _, f := range files {
		k, err := classify(f.name)
		if err != nil {
			return invalidFile(f.name, err)
		}
		if int64(len(f.text)) > k.limit() {
			return invalidFile(f.name, fmt.Errorf("is larger than %d bytes", k.limit()))
		}
		switch k {
		case manifestFile:
			err = s.readManifest(f)
		case dataFile:
			err = s.readData(f)
		case indexFile:
			err = s.readIndex(f)
		case ruleFile:
			s.modules = append(s.modules, f)
		case testFile:
			s.tests = append(s.tests, f)
			err = lintTest(f)
		}
		if err != nil {
			return placed(f.name, err)
		}
		if k != prose && k != testFile {
			s.files = append(s.files, f)
		}
	}
	if len(s.files) == 0 {
		return errors.New("holds no policy: neither data.yaml, data.json nor .manifest, and no rules in site/<area>/; name the site's own directory")
	}
	if err := s.attach(); err != nil {
		return placed(indexName, err)
	}
	return s.checkRoots()
}

// listed is the catalogue.
func (s *site) listed() digestList {
	if s.known != nil {
		return s.known
	}
	return textual(s.catalog)
}

// parse reads a structured file once.
func (s *site) parse(f source) (*node, error) {
	if n, ok := s.parsed[f.name]; ok {
		return n, nil
	}
	parse := parseJSON
	if f.name == "data.yaml" {
		parse = parseYAML
	}
	n, err := parse(f.text)
	if err == nil && s.parsed != nil {
		s.parsed[f.name] = n
	}
	return n, err
}

// readData reads data.yaml or data.json and holds each part against its schema.
func (s *site) readData(f source) error {
	if s.dataName != "" {
		return fmt.Errorf("stands beside %s; keep one of the two", s.dataName)
	}
	s.dataName = f.name
	top, err := s.parse(f)
	if err != nil {
		return err
	}
	if top.kind != "object" {
		return lineError(top.line, "want an object with config, waivers and catalog")
	}
	parts := map[string]*document{"config": &s.config, "waivers": &s.waivers, "catalog": &s.catalog}
	for _, m := range top.members {
		part, ok := parts[m.name]
		if !ok {
			return lineError(m.line, "%s: unknown key%s", m.name, nearest.Hint(m.name, sortedKeys(parts)))
		}
		if m.value.kind == "object" && len(m.value.members) == 0 {
			*part = document{}
			continue
		}
		schema, err := loadSchema(m.name + ".json")
		if err != nil {
			return err
		}
		if err := schema.check(m.name, m.value); err != nil {
			return err
		}
		*part = m.value.plain().(document)
	}
	return nil
}
