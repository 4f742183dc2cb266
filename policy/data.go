package policy

import (
	"encoding/json"
	"reflect"
	"strconv"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/spawnward/spawnward/spawner/code"
)

// termBuilder turns documents into terms. A document that several services
// share becomes one term, so that a long deny-list is kept once.
type termBuilder struct {
	seen map[uintptr]*ast.Term
	read map[*tree]document
	made []document // kept, so that no other has their place in seen
	err  error      // of a list that could not be read
}

func newTermBuilder() *termBuilder {
	return &termBuilder{seen: map[uintptr]*ast.Term{}, read: map[*tree]document{}}
}

func (b *termBuilder) term(v any) *ast.Term {
	switch v := v.(type) {
	case document:
		at := reflect.ValueOf(v).Pointer()
		if t, ok := b.seen[at]; ok {
			return t
		}
		o := ast.NewObjectWithCapacity(len(v))
		for k, e := range v {
			o.Insert(ast.StringTerm(k), b.term(e))
		}
		t := sorted(o)
		b.seen[at] = t
		return t
	case digestList:
		return b.term(b.whole(v))
	case []any:
		terms := make([]*ast.Term, len(v))
		for i, e := range v {
			terms[i] = b.term(e)
		}
		return ast.ArrayTerm(terms...)
	case string:
		return ast.StringTerm(v)
	case bool:
		return ast.InternedTerm(v)
	case json.Number:
		return ast.NumberTerm(v)
	case int:
		return ast.IntNumberTerm(v)
	case int64:
		return ast.NumberTerm(json.Number(strconv.FormatInt(v, 10)))
	}
	return ast.InternedNullTerm
}

// whole reads a list of an index, once.
func (b *termBuilder) whole(list digestList) document {
	t, isTree := list.(*tree)
	if isTree && b.read[t] != nil {
		return b.read[t]
	}
	all, err := list.all()
	if err != nil {
		b.err = err
		return document{}
	}
	b.made = append(b.made, all)
	if isTree {
		b.read[t] = all
	}
	return all
}

// sorted orders an object's keys now, because the order is made on first use
// and terms of a generation are shared by concurrent decisions.
func sorted(o ast.Object) *ast.Term {
	o.Keys()
	return ast.NewTerm(o)
}

// codesTerm is the table of codes in the form of data.launch.codes.
func codesTerm(codes map[code.Code]codeEntry) *ast.Term {
	type level struct {
		enforcement code.Enforcement
		waivable    bool
	}
	levels := map[level]*ast.Term{}
	o := ast.NewObjectWithCapacity(len(codes))
	for c, e := range codes {
		l := level{e.enforcement, e.waivable}
		if levels[l] == nil {
			levels[l] = sorted(ast.NewObject(
				item{ast.StringTerm("enforcement"), ast.StringTerm(string(l.enforcement))}, item{ast.StringTerm("waivable"), ast.InternedTerm(l.waivable)}))
		}
		o.Insert(ast.StringTerm(string(c)), levels[l])
	}
	return sorted(o)
}
