package policy

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/spawnward/spawnward/spawner/admission"
)

// vocabulary is what every input of a generation has in common: the names of
// its members, and its form. Decisions share it and nobody writes it.
type vocabulary struct {
	names    map[string]*ast.Term
	subjects []*ast.Term
	form     *form
	clear    doubtTerms // of a launch without doubts
}

// doubtTerms are what rules see as input.doubts and input.doubted.
type doubtTerms struct{ doubts, doubted *ast.Term }

func newVocabulary() *vocabulary {
	v := &vocabulary{names: make(map[string]*ast.Term, 256)}
	v.form = v.formOf(reflect.TypeFor[admission.Input]())
	judged := blank().subjects()
	doubts, doubted := &form{kind: isObject}, &form{kind: isObject}
	for _, s := range judged {
		v.subjects = append(v.subjects, v.learn(s.name))
		doubted.members = append(doubted.members, memberForm{v.learn(s.name), &form{kind: isBoolean}})
		for i := range s.doubts {
			s.doubts[i].has = false
			doubts.members = append(doubts.members, memberForm{v.learn(string(s.doubts[i].code)), &form{kind: isBoolean}})
		}
	}
	v.form.members = append(v.form.members, memberForm{v.learn("doubts"), doubts}, memberForm{v.learn("doubted"), doubted})
	v.clear = v.doubtTerms(judged)
	v.clear.doubts.Value.(ast.Object).Keys()
	v.clear.doubted.Value.(ast.Object).Keys()
	return v
}

func (v *vocabulary) learn(name string) *ast.Term {
	t, ok := v.names[name]
	if !ok {
		t = ast.StringTerm(name)
		v.names[name] = t
	}
	return t
}

func (v *vocabulary) name(name string) *ast.Term {
	if t, ok := v.names[name]; ok {
		return t
	}
	return ast.StringTerm(name)
}

// doubts gives the terms of what is in doubt. A launch without any doubt shares
// them with all others.
func (v *vocabulary) doubts(found []subject) doubtTerms {
	if !slices.ContainsFunc(found, func(s subject) bool { return s.doubted() }) {
		return v.clear
	}
	return v.doubtTerms(found)
}

func (v *vocabulary) doubtTerms(found []subject) doubtTerms {
	doubts, doubted := make([]item, 0, 64), make([]item, len(found))
	for i := range found {
		s := &found[i]
		doubted[i] = item{v.name(s.name), ast.InternedTerm(s.doubted())}
		for _, d := range s.doubts {
			doubts = append(doubts, item{v.name(string(d.code)), ast.InternedTerm(d.has)})
		}
	}
	return doubtTerms{object(doubts...), object(doubted...)}
}

// Kinds of values in an input.
const (
	isText = iota
	isNumber
	isBoolean
	isList
	isObject
	isTexts    // an object with text under any name
	isOptional // a number or null
)

// form is what a part of an input must look like. Rules say nothing about a fact
// that is not there or of another type, so that no input is evaluated in which
// one of them is.
type form struct {
	kind    int
	of      *form // of a list
	members []memberForm
}

type memberForm struct {
	name *ast.Term
	form *form
}

func (v *vocabulary) formOf(t reflect.Type) *form {
	switch t.Kind() {
	case reflect.Bool:
		return &form{kind: isBoolean}
	case reflect.Int, reflect.Int64:
		return &form{kind: isNumber}
	case reflect.Pointer:
		return &form{kind: isOptional}
	case reflect.Map:
		return &form{kind: isTexts}
	case reflect.Slice:
		return &form{kind: isList, of: v.formOf(t.Elem())}
	case reflect.Struct:
		f := &form{kind: isObject}
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			f.members = append(f.members, memberForm{v.learn(name), v.formOf(t.Field(i).Type)})
		}
		return f
	}
	return &form{kind: isText}
}

// misfit reports a value that is not of the form, and where in it.
func (f *form) misfit(v ast.Value) (at string, bad bool) {
	ok := false
	switch f.kind {
	case isText:
		_, ok = v.(ast.String)
	case isBoolean:
		_, ok = v.(ast.Boolean)
	case isNumber:
		_, ok = v.(ast.Number)
	case isOptional:
		_, ok = v.(ast.Number)
		_, null := v.(ast.Null)
		ok = ok || null
	case isTexts:
		return textsMisfit(v)
	case isList:
		return f.listMisfit(v)
	case isObject:
		return f.objectMisfit(v)
	}
	return "", !ok
}

func (f *form) listMisfit(v ast.Value) (at string, bad bool) {
	list, ok := v.(*ast.Array)
	if !ok {
		return "", true
	}
	for i := range list.Len() {
		if at, bad := f.of.misfit(list.Elem(i).Value); bad {
			return fmt.Sprintf("[%d]%s", i, at), true
		}
	}
	return "", false
}

func (f *form) objectMisfit(v ast.Value) (at string, bad bool) {
	object, ok := v.(ast.Object)
	if !ok {
		return "", true
	}
	for _, m := range f.members {
		value := object.Get(m.name)
		if value == nil {
			return "." + string(m.name.Value.(ast.String)), true
		}
		if at, bad := m.form.misfit(value.Value); bad {
			return "." + string(m.name.Value.(ast.String)) + at, true
		}
	}
	return "", false
}

func textsMisfit(v ast.Value) (at string, bad bool) {
	object, ok := v.(ast.Object)
	if !ok {
		return "", true
	}
	bad = object.Until(func(_, value *ast.Term) bool {
		_, isText := value.Value.(ast.String)
		return !isText
	})
	return "", bad
}
