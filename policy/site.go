package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/nearest"
	"github.com/spawnward/spawnward/spawner/private"
)

// Limits of a site's directory.
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
	files    []source // everything that was read, by name
	modules  []source // the rules among them
	dataName string
	manifest manifest
	config   document
	waivers  document
	catalog  document
}

// manifest is the .manifest of an OPA bundle.
type manifest struct {
	Revision string   `json:"revision"`
	Roots    []string `json:"roots"`
	Metadata struct {
		Sequence int64  `json:"sequence"`
		NotAfter string `json:"not_after"`
	} `json:"metadata"`
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

// readSite reads a site's directory. Nobody but root and the effective user may
// be able to write it, anything in it, or a directory above it, and it holds no
// links.
func readSite(dir string) (*site, error) {
	tree, err := private.OpenTree(os.Geteuid(), dir)
	if errors.Is(err, syscall.ENOTDIR) {
		err = fmt.Errorf("is no directory; bundles in one file: %w", errors.ErrUnsupported)
	}
	if err != nil {
		return nil, invalidFile(dir, err)
	}
	defer tree.Close()
	r := &siteReader{tree: tree, site: &site{}}
	if err := fs.WalkDir(tree.FS(), ".", r.visit); err != nil {
		if _, ok := errors.AsType[*Error](err); ok {
			return nil, err
		}
		return nil, invalidFile(dir, err)
	}
	return r.site, nil
}

type siteReader struct {
	tree  *private.Tree
	site  *site
	count int
}

// visit reads one file of a site, or passes it over when it is no part of
// policy (tests, prose, hidden files).
func (r *siteReader) visit(name string, d fs.DirEntry, err error) error {
	if err != nil {
		return err
	}
	if r.count++; r.count > maxSiteFiles {
		return fmt.Errorf("holds more than %d files; name the policy's own directory", maxSiteFiles)
	}
	if name == "." {
		return nil
	}
	hidden := strings.HasPrefix(path.Base(name), ".") && name != ".manifest"
	switch {
	case hidden && d.IsDir():
		return fs.SkipDir
	case hidden:
		return nil
	case d.Type()&fs.ModeSymlink != 0:
		return invalidFile(name, errors.New("is a link; put the file itself there"))
	case d.IsDir():
		if err := r.tree.Dir(name); err != nil {
			return invalidFile(name, err)
		}
		return nil
	case name == ".manifest":
		return r.read(name, maxModuleBytes, r.site.readManifest)
	case name == "data.yaml" || name == "data.json":
		return r.read(name, maxDataBytes, r.site.readData)
	case strings.HasPrefix(path.Base(name), "data.") && path.Ext(name) != ".rego":
		return invalidFile(name, errors.New("is not read; put the data into data.yaml or data.json beside the site directory"))
	case path.Ext(name) != ".rego" || strings.HasSuffix(name, "_test.rego"):
		return nil
	case !strings.HasPrefix(name, "site/"):
		return invalidFile(name, errors.New("stands outside site/; move it to site/<area>/"))
	}
	return r.read(name, maxModuleBytes, func(f source) error {
		r.site.modules = append(r.site.modules, f)
		return nil
	})
}

func (r *siteReader) read(name string, limit int64, use func(source) error) error {
	text, err := r.tree.Read(name, limit)
	if err != nil {
		return invalidFile(name, err)
	}
	f := source{name, text}
	r.site.files = append(r.site.files, f)
	if err := use(f); err != nil {
		return invalidFile(name, err)
	}
	return nil
}

func (s *site) readManifest(f source) error {
	dec := json.NewDecoder(bytes.NewReader(f.text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s.manifest); err != nil {
		return err
	}
	for _, root := range s.manifest.Roots {
		switch strings.SplitN(root, "/", 2)[0] {
		case "site", "config", "waivers", "catalog":
		default:
			return fmt.Errorf("the root %q is not a site's; use site, config, waivers and catalog", root)
		}
	}
	if s.manifest.Metadata.NotAfter == "" {
		return nil
	}
	end, err := time.Parse(time.RFC3339, s.manifest.Metadata.NotAfter)
	if err != nil {
		return fmt.Errorf("metadata.not_after: %w", err)
	}
	if time.Now().After(end) {
		return fmt.Errorf("this policy was valid until %s; install a newer one", s.manifest.Metadata.NotAfter)
	}
	return nil
}

// readData reads data.yaml or data.json and holds each part against its schema.
func (s *site) readData(f source) error {
	if s.dataName != "" {
		return fmt.Errorf("stands beside %s; keep one of the two", s.dataName)
	}
	s.dataName = f.name
	parse := parseYAML
	if f.name == "data.json" {
		parse = parseJSON
	}
	top, err := parse(f.text)
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
