package policy

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/fault"
)

// An index holds long lists of digests as trees of pages. A page is known by the
// digest of its content, which the page above it has, and the root's stands in
// the table of the index, a file of the bundle. So a lookup reads and hashes a
// page a level, and what it finds is what was built, and signed, however long the
// list is. Pages are read when they are needed and not kept.
//
// A leaf has records: the digest, two bytes for the length of what is said of it,
// and that as JSON. Every other page has for each page below it the first digest
// there, the digest of the page, eight bytes for its offset and four for its length.
// Digests rise within a page and from page to page. Numbers are big-endian.
const (
	digestBytes = sha256.Size
	recordBytes = digestBytes + 2
	childBytes  = digestBytes + sha256.Size + 8 + 4
	pageTarget  = 4096    // a page ends before it is larger, unless one record is
	maxPage     = 1 << 17 // bytes
	maxHeight   = 8
	maxEntry    = 1<<16 - 1 // bytes of what is said of one digest
)

// pageRef is where a page stands, and what it is.
type pageRef struct {
	sum    [sha256.Size]byte
	offset int64
	length int64
}

// pages are the pages of an index, in a file that stays open.
type pages struct {
	r    io.ReaderAt
	base int64 // of the first page in the file
	size int64 // of all of them
	name string
}

// damaged is the error of an index that is not what was built.
func (p *pages) damaged(format string, args ...any) error {
	return &Error{C: code.PolicyInvalid, Where: p.name, Err: fmt.Errorf(
		"the index is not as it was built: %w; put the file there again, or make it anew with 'policy build --index'", fmt.Errorf(format, args...))}
}

func (p *pages) read(ref pageRef) ([]byte, error) {
	if ref.length <= 0 || ref.length > maxPage || ref.offset < 0 || ref.offset > p.size-ref.length {
		return nil, p.damaged("a page of %d bytes at %d cannot be in it", ref.length, ref.offset)
	}
	page := make([]byte, ref.length)
	if n, err := p.r.ReadAt(page, p.base+ref.offset); n < len(page) {
		return nil, p.damaged("the page at %d: %w", ref.offset, err)
	}
	if sha256.Sum256(page) != ref.sum && !fault.Mutant("index-pages-unchecked") {
		return nil, p.damaged("the page at %d has changed", ref.offset)
	}
	return page, nil
}

// tree is one list of an index.
type tree struct {
	pages   *pages
	name    string
	entries int64
	height  int // in pages from the root to a leaf
	root    pageRef
	last    atomic.Pointer[answerOf]
}

// answerOf is the last answer: a launch asks for one digest several times.
type answerOf struct {
	digest string
	entry  document
	listed bool
}

func (t *tree) size() int { return int(t.entries) }

func (t *tree) of(digest string) (document, bool, error) {
	if last := t.last.Load(); last != nil && last.digest == digest {
		return last.entry, last.listed, nil
	}
	if !isDigest(digest) {
		return nil, false, nil // keys have that form
	}
	key, err := hex.DecodeString(digest)
	if err != nil {
		return nil, false, nil
	}
	value, listed, err := t.find(key)
	if err != nil {
		return nil, false, err
	}
	a := &answerOf{digest: digest, listed: listed}
	if listed {
		form, err := entryForm(t.name)
		if err != nil {
			return nil, false, err
		}
		if a.entry, err = t.entry(form, digest, value); err != nil {
			return nil, false, err
		}
	}
	t.last.Store(a)
	return a.entry, a.listed, nil
}

// bounds are what the page above says of a page: its first digest, and one that
// is above all in it. nil is not known.
type bounds struct{ first, above []byte }

// find walks from the root to the leaf that has the key, if one has.
func (t *tree) find(key []byte) (value []byte, listed bool, err error) {
	at, within := t.root, bounds{}
	for level := t.height; level > 1; level-- {
		children, err := t.children(at, within)
		if err != nil {
			return nil, false, err
		}
		i := 0
		for i < len(children) && bytes.Compare(children[i].first, key) <= 0 {
			i++
		}
		if i == 0 {
			return nil, false, nil
		}
		at, within = children[i-1].pageRef, children[i-1].bounds
	}
	records, err := t.records(at, within)
	if err != nil {
		return nil, false, err
	}
	for _, r := range records {
		if bytes.Equal(r.key, key) {
			return r.value, true, nil
		}
	}
	return nil, false, nil
}

type child struct {
	pageRef
	bounds
}

type record struct{ key, value []byte }

// children reads a page that is no leaf.
func (t *tree) children(at pageRef, within bounds) ([]child, error) {
	page, err := t.pages.read(at)
	if err != nil {
		return nil, err
	}
	if len(page)%childBytes != 0 {
		return nil, t.pages.damaged("the page at %d is cut off", at.offset)
	}
	order := &rising{bounds: within}
	out := make([]child, 0, len(page)/childBytes)
	for ; len(page) > 0; page = page[childBytes:] {
		c := child{bounds: bounds{first: page[:digestBytes], above: within.above}}
		copy(c.sum[:], page[digestBytes:])
		c.offset = int64(binary.BigEndian.Uint64(page[digestBytes+sha256.Size:]))
		c.length = int64(binary.BigEndian.Uint32(page[digestBytes+sha256.Size+8:]))
		order.next(c.first)
		if len(out) > 0 {
			out[len(out)-1].above = c.first
		}
		out = append(out, c)
	}
	if order.broken {
		return nil, t.pages.damaged("the digests of the page at %d do not rise", at.offset)
	}
	return out, nil
}

// records reads a leaf.
func (t *tree) records(at pageRef, within bounds) ([]record, error) {
	page, err := t.pages.read(at)
	if err != nil {
		return nil, err
	}
	order := &rising{bounds: within}
	out := make([]record, 0, pageTarget/recordBytes)
	for len(page) > 0 {
		if len(page) < recordBytes {
			return nil, t.pages.damaged("the page at %d is cut off", at.offset)
		}
		r := record{key: page[:digestBytes]}
		length := int(binary.BigEndian.Uint16(page[digestBytes:]))
		if page = page[recordBytes:]; len(page) < length {
			return nil, t.pages.damaged("the page at %d is cut off", at.offset)
		}
		r.value, page = page[:length], page[length:]
		order.next(r.key)
		out = append(out, r)
	}
	if order.broken {
		return nil, t.pages.damaged("the digests of the page at %d do not rise", at.offset)
	}
	return out, nil
}

// rising watches that keys rise and stay within bounds.
type rising struct {
	bounds
	before []byte
	broken bool
}

func (o *rising) next(key []byte) {
	switch {
	case o.before == nil && o.first != nil && !bytes.Equal(key, o.first),
		o.before != nil && bytes.Compare(o.before, key) >= 0,
		o.above != nil && bytes.Compare(key, o.above) >= 0:
		o.broken = true
	}
	o.before = key
}

// entry reads what is said of a digest, with the checks of a data file.
func (t *tree) entry(form *schema, digest string, value []byte) (document, error) {
	if len(value) == 0 {
		return document{}, nil
	}
	n, err := parseJSON(value)
	if err == nil {
		err = form.check(t.name+"."+digest, n)
	}
	if err != nil {
		return nil, t.pages.damaged("%w", err)
	}
	return n.plain().(document), nil
}

func (t *tree) all() (document, error) {
	out := make(document, 1024)
	_, err := t.each(func(digest string, entry document) { out[digest] = entry })
	return out, err
}

// each visits every entry in the order of digests, and makes every check. It
// gives the bytes of all pages.
func (t *tree) each(visit func(digest string, entry document)) (int64, error) {
	form, err := entryForm(t.name)
	if err != nil {
		return 0, err
	}
	w := &walker{t: t, form: form, visit: visit}
	if err := w.page(t.root, bounds{}, t.height); err != nil {
		return 0, err
	}
	if w.entries != t.entries {
		return 0, t.pages.damaged("%s has %d entries and should have %d", t.name, w.entries, t.entries)
	}
	return w.bytes, nil
}

type walker struct {
	t       *tree
	form    *schema
	visit   func(digest string, entry document)
	entries int64
	bytes   int64
}

// page visits a page and those below it. Because digests rise, none is visited
// twice.
func (w *walker) page(at pageRef, within bounds, level int) error {
	w.bytes += at.length
	if level > 1 {
		children, err := w.t.children(at, within)
		for _, c := range children {
			if err == nil {
				err = w.page(c.pageRef, c.bounds, level-1)
			}
		}
		return err
	}
	records, err := w.t.records(at, within)
	if err != nil {
		return err
	}
	for _, r := range records {
		digest := hex.EncodeToString(r.key)
		entry, err := w.t.entry(w.form, digest, r.value)
		if err != nil {
			return err
		}
		w.entries++
		w.visit(digest, entry)
	}
	return nil
}
