package policy

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// indexName is the file of an indexed bundle that says where each list is, and
// by the digest of its root what is in it. It is part of the signature and of the
// generation's id, so that they cover every page.
const indexName = "digests.index"

// indexHead is the first line of the table.
const indexHead = "spawnward index 1"

// index is the table, read.
type index struct {
	bytes int64 // of all pages
	lists []*tree
}

// write gives the table as text: the bytes of all pages, then a line for each
// list with its place in the data, its entries, the height of its tree, and the
// offset, the length and the digest of the root.
func (x *index) write() source {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nbytes %d\n", indexHead, x.bytes)
	for _, t := range x.lists {
		fmt.Fprintf(&b, "%s %d %d %d %d %x\n", t.name, t.entries, t.height, t.root.offset, t.root.length, t.root.sum)
	}
	return source{indexName, []byte(b.String())}
}

// parseIndex reads a table whose lists are in p. It takes no other text than
// write gives.
func parseIndex(text []byte, p *pages) (*index, error) {
	rows := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(rows) < 2 || rows[0] != indexHead {
		return nil, fmt.Errorf("does not begin with %q; another release may have made it: make it anew with 'policy build --index'", indexHead)
	}
	x := &index{}
	var err error
	if x.bytes, err = strconv.ParseInt(strings.TrimPrefix(rows[1], "bytes "), 10, 64); err != nil {
		return nil, lineError(2, "want the number of bytes")
	}
	for i, row := range rows[2:] {
		t, err := parseTree(strings.Split(row, " "))
		if err == nil && (t.entries < 1 || t.entries > x.bytes/recordBytes) {
			err = fmt.Errorf("%d entries cannot be in %d bytes", t.entries, x.bytes)
		}
		if err == nil && i > 0 && x.lists[i-1].name >= t.name {
			err = errors.New("the lists do not stand in their order")
		}
		if err != nil {
			return nil, lineError(i+3, "%w", err)
		}
		t.pages = p
		x.lists = append(x.lists, t)
	}
	if string(x.write().text) != string(text) {
		return nil, errors.New("is not written as 'policy build --index' writes it; make it anew")
	}
	return x, nil
}

func parseTree(words []string) (*tree, error) {
	if len(words) != 6 {
		return nil, fmt.Errorf("has %d words, want 6", len(words))
	}
	t := &tree{name: words[0]}
	var numbers [4]int64
	for i := range numbers {
		var err error
		if numbers[i], err = strconv.ParseInt(words[i+1], 10, 64); err != nil || numbers[i] < 0 {
			return nil, fmt.Errorf("%.40q is no number", words[i+1])
		}
	}
	t.entries, t.height, t.root.offset, t.root.length = numbers[0], int(numbers[1]), numbers[2], numbers[3]
	if t.height < 1 || t.height > maxHeight {
		return nil, fmt.Errorf("%d levels of pages cannot be", t.height)
	}
	if sum, err := hex.DecodeString(words[5]); err != nil || copy(t.root.sum[:], sum) != len(t.root.sum) {
		return nil, fmt.Errorf("%.70q is no digest", words[5])
	}
	return t, nil
}

// checkIndex reads every page. Together they are all there is.
func (s *site) checkIndex() error {
	if s.index == nil {
		return nil
	}
	x, sum := s.index, int64(0)
	for _, t := range x.lists {
		n, err := t.each(func(string, document) {})
		if err != nil {
			return err
		}
		sum += n
	}
	if sum != x.bytes {
		return s.pages.damaged("its lists have %d bytes of the %d that are there", sum, x.bytes)
	}
	return nil
}

// place is where a list stands in the data: the section, and the key in it.
func (s *site) place(name string) (section document, key string, err error) {
	if name == "catalog" {
		return document{"catalog": s.catalog}, name, nil
	}
	parts := strings.Split(name, ".")
	digests := slices.Index(parts, "digests")
	if parts[0] != "config" || digests != len(parts)-2 || !slices.Contains([]string{"allow", "deny"}, parts[len(parts)-1]) ||
		!(digests == 2 && parts[1] == "defaults" || digests == 3 && parts[1] == "services") {
		return nil, "", fmt.Errorf("%.80q is no list of digests", name)
	}
	section = s.config
	for _, part := range parts[1 : len(parts)-1] {
		below, ok := section[part].(document)
		if !ok {
			return nil, "", fmt.Errorf("it has the list %s, for which the data file has no section", name)
		}
		section = below
	}
	return section, parts[len(parts)-1], nil
}

func (s *site) readIndex(f source) error {
	if s.pages == nil {
		return errors.New("is the table of an indexed bundle, without its pages; use the file that 'policy build --index' wrote as it is")
	}
	var err error
	if s.index, err = parseIndex(f.text, s.pages); err != nil {
		return err
	}
	if s.index.bytes != s.pages.size {
		return s.pages.damaged("it has %d bytes of pages and should have %d", s.pages.size, s.index.bytes)
	}
	return nil
}

// attach puts the lists of the index in their places, where nothing stands.
func (s *site) attach() error {
	if s.pages == nil {
		return nil
	}
	if s.index == nil {
		return errors.New("is missing beside the pages; make the file anew with 'policy build --index'")
	}
	for _, t := range s.index.lists {
		section, key, err := s.place(t.name)
		if err != nil {
			return err
		}
		if t.name == "catalog" {
			if s.catalog == nil || len(s.catalog) > 0 {
				return errors.New("the data file has entries of catalog too, or no catalog; a list is in one place")
			}
			s.known = t
			continue
		}
		if section[key] != nil {
			return fmt.Errorf("the data file has %s too; a list is in one place", t.name)
		}
		section[key] = t
	}
	return nil
}

// entryForm is what may be said of a digest in a list.
func entryForm(name string) (*schema, error) {
	words := &schema{Type: "string"}
	switch {
	case strings.HasSuffix(name, ".allow"):
		return &schema{Type: "object", Additional: words}, nil
	case strings.HasSuffix(name, ".deny"):
		return &schema{Type: "object", Properties: map[string]*schema{"reason": words, "ticket": words}}, nil
	}
	catalog, err := loadSchema("catalog.json")
	if err != nil {
		return nil, err
	}
	return catalog.Additional, nil
}
