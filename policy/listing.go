package policy

import "fmt"

// digestList says something of digests: an allow-list, a deny-list, the catalogue.
// Its answers are the same whether it is kept in a data file or in an index. An
// error is a list that cannot be believed; nothing may be decided with it.
type digestList interface {
	// of gives what the list says of a digest.
	of(digest string) (entry document, listed bool, err error)
	// all gives the whole list.
	all() (document, error)
	// size is the number of entries, where it is known without reading them all.
	size() int
}

// textual is a list as a data file holds it.
type textual document

func (l textual) of(digest string) (document, bool, error) {
	v, ok := l[digest]
	if !ok {
		return nil, false, nil
	}
	entry, ok := v.(document)
	if !ok {
		return nil, false, fmt.Errorf("the entry of %s is no object", digest)
	}
	return entry, true, nil
}

func (l textual) all() (document, error) { return document(l), nil }

func (l textual) size() int { return len(l) }

// layer gives the union of two lists.
func layer(base, over digestList) digestList {
	switch {
	case base.size() == 0:
		return over
	case over.size() == 0:
		return base
	}
	return layered{base, over}
}

// layered is the union of two lists; what over says of a digest is added to what
// base says.
type layered struct{ base, over digestList }

func (l layered) of(digest string) (document, bool, error) {
	before, inBase, err := l.base.of(digest)
	if err != nil {
		return nil, false, err
	}
	after, inOver, err := l.over.of(digest)
	if err != nil || !inOver {
		return before, inBase, err
	}
	return merge("", before, after), true, nil
}

func (l layered) all() (document, error) {
	before, err := l.base.all()
	if err != nil {
		return nil, err
	}
	after, err := l.over.all()
	if err != nil {
		return nil, err
	}
	return merge("", before, after), nil
}

func (l layered) size() int { return max(l.base.size(), l.over.size()) }

// listOf gives a list that stands in a configuration. What is not there lists
// nothing.
func listOf(v any) digestList {
	switch v := v.(type) {
	case document:
		return textual(v)
	case digestList:
		return v
	}
	return textual{}
}

// only is the part of a list that is about one digest.
func only(list digestList, digest string) (document, error) {
	entry, listed, err := list.of(digest)
	if err != nil {
		return nil, err
	}
	if !listed {
		return document{}, nil
	}
	return document{digest: entry}, nil
}
