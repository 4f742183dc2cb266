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
	forms    inputForms
	clear    doubtTerms // of a launch without doubts
	none     struct{ script, parent, interp *ast.Term }
}

// inputForms are those of the objects in an input.
type inputForms struct {
	input, request, trace, service, launch, file, interp, mount, ancestor, script, caller, parent,
	variable, envFacts, output, hook, host, launcher, doubts, doubted *form
}

// doubtTerms are what rules see as input.doubts and input.doubted.
type doubtTerms struct{ doubts, doubted *ast.Term }

func newVocabulary() *vocabulary {
	v := &vocabulary{names: make(map[string]*ast.Term, 256)}
	of := &former{v, map[reflect.Type]*form{}}
	v.forms = inputForms{
		input: of.form(reflect.TypeFor[admission.Input]()), request: of.form(reflect.TypeFor[admission.Request]()),
		trace: of.form(reflect.TypeFor[admission.Trace]()), service: of.form(reflect.TypeFor[admission.Service]()),
		launch: of.form(reflect.TypeFor[admission.ServiceLaunch]()), file: of.form(reflect.TypeFor[admission.File]()),
		interp: of.form(reflect.TypeFor[admission.Interp]()), mount: of.form(reflect.TypeFor[admission.Mount]()),
		ancestor: of.form(reflect.TypeFor[admission.Ancestor]()), script: of.form(reflect.TypeFor[admission.Script]()),
		caller: of.form(reflect.TypeFor[admission.Caller]()), parent: of.form(reflect.TypeFor[admission.Parent]()),
		variable: of.form(reflect.TypeFor[admission.EnvVar]()), envFacts: of.form(reflect.TypeFor[admission.EnvFacts]()),
		output: of.form(reflect.TypeFor[admission.OutputFile]()), hook: of.form(reflect.TypeFor[admission.HookRun]()),
		host: of.form(reflect.TypeFor[admission.Host]()), launcher: of.form(reflect.TypeFor[admission.Launcher]()),
		doubts: &form{kind: isObject}, doubted: &form{kind: isObject},
	}
	judged := blank().subjects()
	for _, s := range judged {
		v.subjects = append(v.subjects, v.learn(s.name))
		v.forms.doubted.add(v, s.name, &form{kind: isBoolean})
		for i := range s.doubts {
			s.doubts[i].has = false
			v.forms.doubts.add(v, string(s.doubts[i].code), &form{kind: isBoolean})
		}
	}
	v.forms.input.add(v, "doubts", v.forms.doubts)
	v.forms.input.add(v, "doubted", v.forms.doubted)
	b := &inputBuilder{vocabulary: v}
	v.none.script, v.none.parent = b.script(&admission.Script{}), b.parent(&admission.Parent{})
	v.none.interp = b.interp(&admission.Interp{})
	v.clear = v.doubtTerms(judged)
	for _, t := range []*ast.Term{v.clear.doubts, v.clear.doubted, v.none.script, v.none.parent, v.none.interp} {
		sorted(t.Value.(ast.Object))
	}
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

// doubts gives the terms of what is in doubt. A launch without any doubt shares
// them with all others.
func (v *vocabulary) doubts(found []subject) doubtTerms {
	if !slices.ContainsFunc(found, func(s subject) bool { return s.doubted() }) {
		return v.clear
	}
	return v.doubtTerms(found)
}

func (v *vocabulary) doubtTerms(found []subject) doubtTerms {
	doubts, doubted := make([]item, 0, 64), make([]item, 0, 16)
	for _, s := range found {
		doubted = append(doubted, item{v.forms.doubted.members[len(doubted)].name, ast.InternedTerm(s.doubted())})
		for _, d := range s.doubts {
			doubts = append(doubts, item{v.forms.doubts.members[len(doubts)].name, ast.InternedTerm(d.has)})
		}
	}
	return doubtTerms{ast.NewTerm(ast.NewObject(doubts...)), ast.NewTerm(ast.NewObject(doubted...))}
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
	text string
	name *ast.Term
	form *form
}

func (f *form) add(v *vocabulary, name string, of *form) {
	f.members = append(f.members, memberForm{name, v.learn(name), of})
}

// former gives the forms of types, each once.
type former struct {
	words *vocabulary
	known map[reflect.Type]*form
}

func (m *former) form(t reflect.Type) *form {
	f, ok := m.known[t]
	if !ok {
		f = m.make(t)
		m.known[t] = f
	}
	return f
}

func (m *former) make(t reflect.Type) *form {
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
		return &form{kind: isList, of: m.form(t.Elem())}
	case reflect.Struct:
		f := &form{kind: isObject}
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			f.add(m.words, name, m.form(t.Field(i).Type))
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
			return "." + m.text, true
		}
		if at, bad := m.form.misfit(value.Value); bad {
			return "." + m.text + at, true
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
