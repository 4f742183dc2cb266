package policy

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// indexFrom is how many entries a list has that is worth a tree; a shorter one
// stays in the data file.
const indexFrom = 16

// indexer moves the long lists of a site into pages.
type indexer struct {
	from  int // entries; a shorter list stays in the data file
	out   bytes.Buffer
	table index
}

// data gives what stays in the data file.
func (x *indexer) data(s *site) (document, error) {
	out := document{}
	for name, part := range map[string]document{"config": s.config, "waivers": s.waivers} {
		if part != nil {
			out[name] = part
		}
	}
	if s.config != nil {
		config, err := x.config(s.config)
		if err != nil {
			return nil, err
		}
		out["config"] = config
	}
	if list := s.listed(); s.catalog != nil {
		moved, err := x.move("catalog", list)
		if err != nil {
			return nil, err
		}
		if out["catalog"] = (document{}); !moved {
			if out["catalog"], err = list.all(); err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(x.table.lists, func(a, b *tree) int { return bytes.Compare([]byte(a.name), []byte(b.name)) })
	x.table.bytes = int64(x.out.Len())
	return out, nil
}

// config is a configuration without the lists that were moved.
func (x *indexer) config(config document) (document, error) {
	out := maps.Clone(config)
	if layer, ok := config["defaults"].(document); ok {
		moved, err := x.layer("config.defaults", layer)
		if err != nil {
			return nil, err
		}
		out["defaults"] = moved
	}
	services, ok := config["services"].(document)
	if !ok {
		return out, nil
	}
	own := make(document, len(services))
	for _, name := range sortedKeys(services) {
		moved, err := x.layer("config.services."+name, services[name].(document))
		if err != nil {
			return nil, err
		}
		own[name] = moved
	}
	out["services"] = own
	return out, nil
}

func (x *indexer) layer(name string, layer document) (document, error) {
	digests, ok := layer["digests"].(document)
	if !ok {
		return layer, nil
	}
	out, stays := maps.Clone(layer), maps.Clone(digests)
	for _, key := range []string{"allow", "deny"} {
		if digests[key] == nil {
			continue
		}
		list := listOf(digests[key])
		moved, err := x.move(name+".digests."+key, list)
		if err != nil {
			return nil, err
		}
		if delete(stays, key); !moved {
			if stays[key], err = list.all(); err != nil {
				return nil, err
			}
		}
	}
	out["digests"] = stays
	return out, nil
}

// move writes a list's tree, if it is long enough to need one.
func (x *indexer) move(name string, list digestList) (bool, error) {
	if list.size() < x.from {
		return false, nil
	}
	entries, err := list.all()
	if err != nil {
		return false, err
	}
	level, err := x.leaves(name, entries)
	if err != nil {
		return false, err
	}
	t := &tree{name: name, entries: int64(len(entries)), height: 1}
	for ; len(level) > 1; t.height++ {
		level = x.above(level)
	}
	t.root = level[0].pageRef
	x.table.lists = append(x.table.lists, t)
	return true, nil
}

func (x *indexer) leaves(name string, entries document) ([]child, error) {
	p := &pageWriter{out: &x.out}
	for _, digest := range sortedKeys(entries) {
		key, err := hex.DecodeString(digest)
		if err != nil {
			return nil, err
		}
		var value []byte
		if said := entries[digest].(document); len(said) > 0 {
			if value, err = json.Marshal(said); err != nil {
				return nil, err
			}
		}
		if len(value) > maxEntry {
			return nil, fmt.Errorf("%s.%s: more than %d bytes are said of it, which is too much for an index; shorten the text", name, digest, maxEntry)
		}
		p.add(key, slices.Concat(key, binary.BigEndian.AppendUint16(nil, uint16(len(value))), value))
	}
	return p.end(), nil
}

// above gives the pages that lead to those of a level.
func (x *indexer) above(level []child) []child {
	p := &pageWriter{out: &x.out}
	for _, c := range level {
		item := slices.Concat(c.first, c.sum[:])
		item = binary.BigEndian.AppendUint64(item, uint64(c.offset))
		p.add(c.first, binary.BigEndian.AppendUint32(item, uint32(c.length)))
	}
	return p.end()
}

// pageWriter fills one page after the other.
type pageWriter struct {
	out   *bytes.Buffer
	first []byte
	page  []byte
	done  []child
}

func (p *pageWriter) add(key, item []byte) {
	if len(p.page) > 0 && len(p.page)+len(item) > pageTarget {
		p.end()
	}
	if len(p.page) == 0 {
		p.first = key
	}
	p.page = append(p.page, item...)
}

// end closes the page and gives all that were written.
func (p *pageWriter) end() []child {
	if len(p.page) > 0 {
		ref := pageRef{sum: sha256.Sum256(p.page), offset: int64(p.out.Len()), length: int64(len(p.page))}
		p.out.Write(p.page)
		p.done = append(p.done, child{pageRef: ref, bounds: bounds{first: p.first}})
		p.page = p.page[:0]
	}
	return p.done
}
