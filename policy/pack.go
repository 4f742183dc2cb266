package policy

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
)

// PackOptions are what a bundle says of itself beside what the site's own
// manifest says; zero fields leave that as it is.
type PackOptions struct {
	Revision string
	Sequence int64
	Name     string
	// Index makes an indexed bundle: long lists of digests are not read when it is
	// loaded. Only this package reads that form.
	Index bool
}

// Packed is a bundle and what it decides by.
type Packed struct {
	Bundle []byte // a tar archive, compressed, or an indexed bundle; the same files give the same bytes
	Policy admission.PolicyID
	Files  []string
}

// Pack loads the site at dir, which may be a bundle, with every check and makes a
// bundle of it, without its tests: in OPA's format, or with an index. Either can be
// made of the other; a signature is left out.
func Pack(ctx context.Context, dir string, o PackOptions) (*Packed, error) {
	s, _, err := readSite(dir, nil, true, func([]source) {})
	if err != nil {
		return nil, err
	}
	m := s.manifest
	if o.Revision != "" {
		m.revision = o.Revision
	}
	if o.Sequence != 0 {
		m.sequence = o.Sequence
	}
	if o.Name != "" {
		m.name = o.Name
	}
	file, err := m.write()
	if err != nil {
		return nil, invalidFile(".manifest", err)
	}
	files, pages, err := s.packed(o.Index)
	if err != nil {
		return nil, err
	}
	return finish(ctx, append(files, file), pages)
}

// packed gives the files of the site without its manifest, and the pages of an
// index.
func (s *site) packed(index bool) (files []source, pages []byte, err error) {
	drop := []string{".manifest"}
	if index || s.index != nil {
		drop = append(drop, "data.json", "data.yaml", indexName)
	}
	files = slices.DeleteFunc(slices.Clone(s.files), func(f source) bool { return slices.Contains(drop, f.name) })
	if len(drop) == 1 {
		return files, nil, nil
	}
	x := &indexer{from: math.MaxInt}
	if index {
		x.from = indexFrom
	}
	data, err := x.data(s)
	if err != nil {
		return nil, nil, s.invalid("lists of digests", err)
	}
	text, err := json.Marshal(data)
	if err != nil {
		return nil, nil, err
	}
	files = append(files, source{"data.json", text})
	if index {
		files = append(files, x.table.write())
		pages = x.out.Bytes()
	}
	return files, pages, nil
}

// finish checks the files of a bundle as a launcher would, and writes them.
func finish(ctx context.Context, files []source, pages []byte) (*Packed, error) {
	plain := slices.DeleteFunc(slices.Clone(files), func(f source) bool { return f.name == signaturesName })
	s, err := assembleIndexed(plain, pagesOf(files, pages))
	if err != nil {
		return nil, err
	}
	if err := s.checkIndex(); err != nil {
		return nil, err
	}
	e, err := build(Options{}, embedded(), s)
	if err != nil {
		return nil, err
	}
	if err := e.smoke(ctx); err != nil {
		return nil, err
	}
	out, err := write(files)
	if err == nil && s.index != nil {
		out, err = writeIndexed(out, pages)
	}
	if err != nil {
		return nil, err
	}
	p := &Packed{Bundle: out, Policy: e.ID()}
	for _, f := range files {
		p.Files = append(p.Files, f.name)
	}
	return p, nil
}

// Sign signs the bundle in text with key, in place of a signature it may have.
// The bundle must load and have a sequence number, without which an older one
// could take its place.
func Sign(ctx context.Context, text []byte, key *SigningKey) (*Packed, error) {
	text, p, err := readIndexed(bytes.NewReader(text), int64(len(text)), "bundle")
	if err != nil {
		return nil, placed("bundle", err)
	}
	files, err := unpack(text)
	if err != nil {
		return nil, placed("bundle", err)
	}
	files = slices.DeleteFunc(files, func(f source) bool { return f.name == signaturesName })
	s, err := assembleIndexed(slices.Clone(files), p)
	if err != nil {
		return nil, placed("bundle", err)
	}
	if _, err := s.release(key.Key, nil); err != nil {
		return nil, err
	}
	signature, err := sign(files, key)
	if err != nil {
		return nil, err
	}
	var pages []byte
	if p != nil {
		pages = make([]byte, p.size)
		if err := readFull(p.r, pages, p.base); err != nil {
			return nil, err
		}
	}
	return finish(ctx, append(files, signature), pages)
}

// pagesOf are the pages that are still in memory, nil when the files have no
// index.
func pagesOf(files []source, text []byte) *pages {
	if !slices.ContainsFunc(files, func(f source) bool { return f.name == indexName }) {
		return nil
	}
	return &pages{r: bytes.NewReader(text), size: int64(len(text)), name: indexName}
}

// write gives a bundle with the files in the order of their names, and nothing
// that depends on who makes it and when.
func write(files []source) ([]byte, error) {
	slices.SortFunc(files, func(a, b source) int { return strings.Compare(a.name, b.name) })
	var out bytes.Buffer
	zw := gzip.NewWriter(&out)
	tw := tar.NewWriter(zw)
	for _, f := range files {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: "/" + f.name, Mode: 0o644, Size: int64(len(f.text)), Format: tar.FormatPAX}
		if err := tw.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("write %s: %w", f.name, err)
		}
		if _, err := tw.Write(f.text); err != nil {
			return nil, fmt.Errorf("write %s: %w", f.name, err)
		}
	}
	if err := errors.Join(tw.Close(), zw.Close()); err != nil {
		return nil, err
	}
	if out.Len() > maxBundleBytes {
		return nil, fmt.Errorf("the bundle is larger than %d bytes", maxBundleBytes)
	}
	return out.Bytes(), nil
}

// Inspected is what a bundle or a site's directory holds.
type Inspected struct {
	Policy   admission.PolicyID
	Key      string      // that verified it; "" when none was asked for
	Name     string      // of the bundle
	Codes    []code.Code // that its rules declare
	Modules  []string    // files of rules
	Warnings []Warning
}

// Inspect makes every check of [Load] on a directory, or on a bundle that one
// of the keys signed; without keys signatures are not looked at. It neither
// compares sequence numbers with earlier ones nor remembers any.
func Inspect(ctx context.Context, path string, keys []*Key) (*Inspected, error) {
	l := &loading{o: Options{Path: path, Keys: keys}, inspect: true, site: &site{}}
	e, err := l.run(ctx)
	if err != nil {
		return nil, err
	}
	if err := l.site.checkIndex(); err != nil {
		return nil, err
	}
	out := &Inspected{Policy: e.ID(), Name: l.site.manifest.name, Codes: []code.Code{}, Modules: []string{}, Warnings: append([]Warning{}, e.Warnings()...)}
	for _, c := range slices.Sorted(maps.Keys(e.codes)) {
		if isSiteCode(c) {
			out.Codes = append(out.Codes, c)
		}
	}
	for _, f := range l.site.modules {
		out.Modules = append(out.Modules, f.name)
	}
	if l.release != nil {
		out.Key, out.Name = l.release.key, l.release.name
	}
	return out, nil
}
