package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
)

// manifest is the .manifest of an OPA bundle.
type manifest struct {
	present  bool
	revision string
	roots    []string // nil: not given
	name     string   // of the bundle, for its sequence numbers
	sequence int64
	notAfter time.Time // zero: for ever
}

// siteRoots are the parts of data that a site may hold.
func siteRoots() []string { return []string{"catalog", "config", "site", "waivers"} }

func (s *site) readManifest(f source) error {
	top, err := s.parse(f)
	if err != nil {
		return err
	}
	schema, err := loadSchema("manifest.json")
	if err != nil {
		return err
	}
	if err := schema.check("manifest", top); err != nil {
		return err
	}
	doc := top.plain().(document)
	metadata, _ := doc["metadata"].(document)
	m := manifest{present: true, revision: text(doc["revision"]), name: text(metadata["name"])}
	if v, ok := metadata["sequence"].(json.Number); ok {
		if m.sequence, err = v.Int64(); err != nil {
			return fmt.Errorf("metadata.sequence: %w", err)
		}
	}
	if v, ok := doc["rego_version"]; ok && v != json.Number("1") {
		return fmt.Errorf("rego_version: %v is not 1", v)
	}
	if roots, ok := doc["roots"]; ok {
		m.roots = texts(roots)
	}
	for i, root := range m.roots {
		if !slices.Contains(siteRoots(), root) {
			return fmt.Errorf("the root %q is not a site's; use %s", root, strings.Join(siteRoots(), ", "))
		}
		if slices.Contains(m.roots[:i], root) {
			return fmt.Errorf("the root %q is repeated", root)
		}
	}
	s.manifest = m
	end := text(metadata["not_after"])
	if end == "" {
		return nil
	}
	if s.manifest.notAfter, err = time.Parse(time.RFC3339, end); err != nil {
		return fmt.Errorf("metadata.not_after: %q is not a date such as 2027-01-01T00:00:00Z", end)
	}
	if time.Now().After(s.manifest.notAfter) {
		return fmt.Errorf("this policy was valid until %s; install a newer one", end)
	}
	return nil
}

// checkRoots demands that the roots of the manifest, when it names them, cover
// all there is: OPA would drop or refuse the rest.
func (s *site) checkRoots() error {
	if s.manifest.roots == nil {
		return nil
	}
	held := map[string]bool{"config": s.config != nil, "waivers": s.waivers != nil, "catalog": s.catalog != nil, "site": len(s.modules) > 0}
	for _, root := range siteRoots() {
		if held[root] && !slices.Contains(s.manifest.roots, root) {
			return invalidFile(".manifest", fmt.Errorf("the site holds %[1]s, which roots leaves out; add %[1]q there", root))
		}
	}
	return nil
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// bundleManifest is what OPA reads of a manifest that this package writes.
type bundleManifest struct {
	Revision    string          `json:"revision"`
	Roots       []string        `json:"roots"`
	RegoVersion int             `json:"rego_version"`
	Metadata    *bundleMetadata `json:"metadata,omitempty"`
}

type bundleMetadata struct {
	Name     string `json:"name,omitempty"`
	Sequence int64  `json:"sequence,omitempty"`
	NotAfter string `json:"not_after,omitempty"`
}

// write gives the manifest as a file; every root is named.
func (m manifest) write() (source, error) {
	out := bundleManifest{Revision: m.revision, Roots: siteRoots(), RegoVersion: ast.RegoV1.Int()}
	meta := bundleMetadata{Name: m.name, Sequence: m.sequence}
	if !m.notAfter.IsZero() {
		meta.NotAfter = m.notAfter.Format(time.RFC3339)
	}
	if meta != (bundleMetadata{}) {
		out.Metadata = &meta
	}
	if m.sequence < 0 {
		return source{}, errors.New("a sequence number is not below 0")
	}
	data, err := json.MarshalIndent(out, "", "  ")
	return source{".manifest", append(data, '\n')}, err
}
