package policy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/spawnward/spawnward/spawner/private"
)

// Release is an entry of a site's catalogue: which release a file is.
type Release struct {
	SHA256  string `json:"sha256"`
	Service string `json:"service"`
	Version string `json:"version"`
}

// Catalog lists the releases that the site at path knows, by service, version
// and digest.
func Catalog(ctx context.Context, path string) ([]Release, error) {
	l := &loading{o: Options{Path: path}, inspect: true, site: &site{}}
	if _, err := l.run(ctx); err != nil {
		return nil, err
	}
	out := []Release{}
	known, err := l.site.listed().all()
	if err != nil {
		return nil, err
	}
	for digest, v := range known {
		entry := v.(document)
		out = append(out, Release{digest, text(entry["service"]), text(entry["version"])})
	}
	slices.SortFunc(out, func(a, b Release) int {
		return strings.Compare(a.Service+"@"+a.Version+"@"+a.SHA256, b.Service+"@"+b.Version+"@"+b.SHA256)
	})
	return out, nil
}

// CatalogEdit is a data file of a site with a release added.
type CatalogEdit struct {
	File    string // path of the data file
	Old     []byte // nil when there is no such file yet
	New     []byte
	Changed bool // false: the release was there already
}

// AddRelease gives the data file of the site at dir with a release added, in
// which everything else, comments too, stands as it was. The changed site has
// passed every check. Nothing is written.
func AddRelease(ctx context.Context, dir string, r Release) (*CatalogEdit, error) {
	files, err := ownDirectory(dir, false)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(files, func(f source) bool { return f.name == "data.yaml" || f.name == "data.json" })
	if at < 0 {
		files, at = append(files, source{name: "data.yaml"}), len(files)
	}
	before, err := assemble(slices.Clone(files))
	if err != nil {
		return nil, err
	}
	name := files[at].name
	out := &CatalogEdit{File: filepath.Join(dir, name), Old: files[at].text, New: files[at].text}
	if entry, ok := before.catalog[r.SHA256].(document); ok {
		if have := (Release{r.SHA256, text(entry["service"]), text(entry["version"])}); have != r {
			return nil, invalidFile(name, fmt.Errorf("catalog.%s is %s@%s already; a file is one release, so correct that entry by hand if it is wrong",
				r.SHA256, have.Service, have.Version))
		}
		return out, nil
	}
	out.Changed = true
	if out.New, err = insertRelease(files[at].text, r); err != nil {
		return nil, invalidFile(name, err)
	}
	files[at].text = out.New
	if _, err := finish(ctx, slices.Clone(files), nil); err != nil {
		return nil, err
	}
	after, err := assemble(files)
	if err == nil {
		err = onlyAdded(before, after, r)
	}
	if err != nil {
		return nil, invalidFile(name, fmt.Errorf("%w; add the line to catalog by hand: %s", err, entryText(r)))
	}
	return out, nil
}

// onlyAdded demands that the one entry is all that two sites differ in.
func onlyAdded(before, after *site, r Release) error {
	catalog := maps.Clone(before.catalog)
	if catalog == nil {
		catalog = document{}
	}
	catalog[r.SHA256] = document{"service": r.Service, "version": r.Version}
	for _, pair := range [][2]document{{before.config, after.config}, {before.waivers, after.waivers}, {catalog, after.catalog}} {
		want, err := json.Marshal(pair[0])
		if err != nil {
			return err
		}
		have, err := json.Marshal(pair[1])
		if err != nil {
			return err
		}
		if !bytes.Equal(want, have) && len(pair[0])+len(pair[1]) > 0 {
			return errors.New("the file is written in a way that cannot be added to safely")
		}
	}
	return nil
}

func entryText(r Release) string {
	return fmt.Sprintf(`"%s": {"service": %q, "version": %q}`, r.SHA256, r.Service, r.Version)
}

// insertRelease adds an entry to the text of a data file, YAML or JSON, by its
// place and not by writing the file anew.
func insertRelease(data []byte, r Release) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	l := &lines{strings.SplitAfter(string(data), "\n")}
	if len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return l.end("catalog:\n  " + entryText(r) + "\n"), nil
	}
	root := doc.Content[0]
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value == "catalog" {
			return l.into(root.Content[i], root.Content[i+1], r)
		}
	}
	if root.Style&yaml.FlowStyle != 0 {
		return l.after(root, `"catalog": {`+entryText(r)+`}`, len(root.Content) > 0)
	}
	return l.end("catalog:\n  " + entryText(r) + "\n"), nil
}

// lines is a text, each line with its end.
type lines struct{ text []string }

func (l *lines) join() []byte { return []byte(strings.Join(l.text, "")) }

func (l *lines) end(more string) []byte {
	if last := len(l.text) - 1; l.text[last] != "" {
		l.text[last] += "\n"
	}
	l.text = append(l.text, more)
	return l.join()
}

// into adds to the value of the key catalog.
func (l *lines) into(key, value *yaml.Node, r Release) ([]byte, error) {
	switch {
	case value.Kind == yaml.MappingNode && value.Style&yaml.FlowStyle != 0:
		return l.after(value, entryText(r), len(value.Content) > 0)
	case value.Kind == yaml.MappingNode && len(value.Content) > 0:
		first := value.Content[0]
		return l.before(first.Line, strings.Repeat(" ", first.Column-1)+entryText(r)+"\n"), nil
	case value.Kind == yaml.ScalarNode && value.Tag == "!!null" && value.Value == "":
		return l.before(key.Line+1, strings.Repeat(" ", key.Column+1)+entryText(r)+"\n"), nil
	}
	return nil, errors.New("catalog is written in a way that cannot be added to")
}

// before adds a line before the one with this number, which counts from 1.
func (l *lines) before(number int, more string) []byte {
	at := min(number-1, len(l.text))
	if at > 0 && !strings.HasSuffix(l.text[at-1], "\n") {
		l.text[at-1] += "\n"
	}
	l.text = slices.Insert(l.text, at, more)
	return l.join()
}

// after adds behind the brace with which a mapping begins.
func (l *lines) after(mapping *yaml.Node, more string, others bool) ([]byte, error) {
	if others {
		more += ", "
	}
	line := []rune(l.text[mapping.Line-1])
	at := mapping.Column - 1
	if at >= len(line) || line[at] != '{' {
		return nil, errors.New("catalog is written in a way that cannot be added to")
	}
	l.text[mapping.Line-1] = string(line[:at+1]) + more + string(line[at+1:])
	return l.join(), nil
}

// Unchanged reports whether the data file still is what the edit began with.
func (c *CatalogEdit) Unchanged() error {
	path, err := filepath.Abs(c.File)
	if err != nil {
		return invalidFile(c.File, err)
	}
	now, err := private.ReadTrusted(os.Geteuid(), path, maxDataBytes)
	if errors.Is(err, os.ErrNotExist) && c.Old == nil {
		return nil
	}
	if err == nil && !bytes.Equal(now, c.Old) {
		err = errors.New("somebody changed it meanwhile; run the command again")
	}
	if err != nil {
		return invalidFile(c.File, err)
	}
	return nil
}
