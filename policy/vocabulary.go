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
	form     *form
	noDoubts *ast.Term
}

func newVocabulary() *vocabulary {
	v := &vocabulary{names: make(map[string]*ast.Term, 256)}
	v.form = v.formOf(reflect.TypeFor[admission.Input]())
	judged := blank().doubts()
	for i := range judged {
		judged[i].has = false
	}
	v.noDoubts = v.doubtsTerm(judged)
	doubts := &form{kind: isObject}
	for _, d := range judged {
		doubts.members = append(doubts.members, memberForm{v.learn(string(d.code)), &form{kind: isBoolean}})
	}
	v.form.members = append(v.form.members, memberForm{v.learn("doubts"), doubts})
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

// doubts is what rules see as input.doubts. A launch without any shares it with
// all others.
func (v *vocabulary) doubts(found []doubt) *ast.Term {
	if !slices.ContainsFunc(found, func(d doubt) bool { return d.has }) {
		return v.noDoubts
	}
	return v.doubtsTerm(found)
}

func (v *vocabulary) doubtsTerm(found []doubt) *ast.Term {
	o := ast.NewObjectWithCapacity(len(found))
	for _, d := range found {
		o.Insert(v.learn(string(d.code)), ast.InternedTerm(d.has))
	}
	return sorted(o)
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
