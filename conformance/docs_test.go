package conformance

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite generated files")

// current compares a generated file with what it should be, or rewrites it.
func current(t *testing.T, name string, want []byte) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(name, want, 0o644))
		return
	}
	got, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "run go test ./conformance -run %s -update", t.Name())
}

// TestREADME keeps the table of requirements and their cases current.
func TestREADME(t *testing.T) {
	cases, err := Load("")
	require.NoError(t, err)
	by := map[string][]string{}
	for _, c := range cases {
		for _, id := range c.Requires {
			by[id] = append(by[id], fmt.Sprintf("[%s](%s)", c.ID, c.File))
		}
	}
	var table bytes.Buffer
	fmt.Fprintf(&table, "%d cases.\n\n| requirement or code | cases |\n|---|---|\n", len(cases))
	for _, id := range requirements() {
		shown := strings.Join(by[id], " ")
		if shown == "" {
			shown = "none: " + unreached()[id]
		}
		fmt.Fprintf(&table, "| `%s` | %s |\n", id, shown)
	}
	const begin, end = "<!-- cases: made by go test ./conformance -run TestREADME -update -->\n", "<!-- end of cases -->"
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(text), begin)
	require.True(t, ok)
	_, after, ok := strings.Cut(rest, end)
	require.True(t, ok)
	current(t, "README.md", []byte(before+begin+table.String()+end+after))
}

// TestSchemas keeps the forms of files and of the protocol current: they are made
// from the types that read them strictly.
func TestSchemas(t *testing.T) {
	for name, of := range map[string]struct {
		value any
		tag   string
		title string
	}{
		"case":    {Case{}, "yaml", "A case of the conformance suite"},
		"request": {Request{}, "json", "What the suite asks of another launcher"},
		"answer":  {Answer{}, "json", "What another launcher answers"},
		"report":  {Report{}, "json", "What conformance --output json prints"},
	} {
		s := schemaOf(reflect.TypeOf(of.value), of.tag)
		s["$schema"], s["title"] = "http://json-schema.org/draft-07/schema#", of.title
		text, err := json.MarshalIndent(s, "", "  ")
		require.NoError(t, err)
		current(t, "schema/"+name+".json", append(text, '\n'))
	}
}

func schemaOf(of reflect.Type, tag string) map[string]any {
	if of == reflect.TypeFor[json.RawMessage]() {
		return map[string]any{}
	}
	switch of.Kind() {
	case reflect.Pointer:
		return schemaOf(of.Elem(), tag)
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return map[string]any{"type": "integer"}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(of.Elem(), tag)}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": schemaOf(of.Elem(), tag)}
	case reflect.Struct:
		return objectOf(of, tag)
	}
	return map[string]any{}
}

func objectOf(of reflect.Type, tag string) map[string]any {
	properties, required := map[string]any{}, []string{}
	for i := range of.NumField() {
		f := of.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get(tag), ",")
		if name == "-" || name == "" {
			continue
		}
		properties[name] = schemaOf(f.Type, tag)
		if tag == "json" && options != "omitempty" || tag == "yaml" && of == reflect.TypeFor[Case]() && (name == "id" || name == "title" || name == "requires") {
			required = append(required, name)
		}
	}
	s := map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

func TestDecodeIsStrict(t *testing.T) {
	const good = "id: A-1-b\nrequires: [O-01]\ntitle: t\nexpect: {exit: 0}\n"
	_, err := Decode([]byte(good))
	require.NoError(t, err)
	for text, want := range map[string]string{
		good + "more: 1\n":                                                           "more",
		good + "---\nid: x\n":                                                        "one document",
		strings.Replace(good, "A-1-b", "A b", 1):                                     "id",
		strings.Replace(good, "[O-01]", "[]", 1):                                     "requires",
		strings.Replace(good, "title: t", "title: ''", 1):                            "title",
		"id: A\nrequires: [O-01]\ntitle: t\n":                                        "expects nothing",
		good + "needs: [luck]\n":                                                     "luck",
		good + "steps: [{do: ps}]\n":                                                 "one or the other",
		"id: A\nrequires: [O-01]\ntitle: t\nsteps: [{do: fly, expect: {exit: 0}}]\n": "fly",
		"id: A\nrequires: [O-01]\ntitle: t\nexpect: {stdout: {matches: ['(']}}\n":    "missing closing",
		"id: A\nrequires: [O-01]\ntitle: t\nexpect: {fields: {a.b: '~('}}\n":         "missing closing",
	} {
		_, err := Decode([]byte(text))
		require.ErrorContains(t, err, want)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("id: A\nrequires: [O-01]\ntitle: t\nexpect: {exit: 0}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Decode(data)
		if err == nil && len(c.Steps) == 0 {
			t.Fatal("a case without a step")
		}
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add(`{"protocol":1,"result":{"outcome":"launched"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := foreign{}.read(&result{stdout: text})
		if err == nil && r.doc == nil {
			t.Fatal("an answer without a document")
		}
	})
}

func TestCommand(t *testing.T) {
	words, err := Command(`./my-launcher --json 'a b' "c'd" ''`)
	require.NoError(t, err)
	require.Equal(t, []string{"./my-launcher", "--json", "a b", "c'd", ""}, words)
	for _, bad := range []string{"", "  ", "'x"} {
		_, err := Command(bad)
		require.Error(t, err)
	}
}

// Reports put failures first, and never show raw bytes of what was seen.
func TestReports(t *testing.T) {
	r := &Report{Results: []*Result{
		{ID: "A", Title: "one", Requires: []string{"O-02"}, Outcome: Held},
		{ID: "B", File: "cases/b.yaml", Title: "two", Requires: []string{"X-01", "O-01"}, Outcome: Failed, Seen: []string{"exit 1\x1b[2J, not 0"}},
		{ID: "C", Title: "three", Requires: []string{"O-01"}, Outcome: Skipped, Reason: "it needs root"},
	}}
	r.judge()
	require.False(t, r.OK)
	var text, xml, doc bytes.Buffer
	require.NoError(t, r.WriteText(&text, false))
	require.True(t, strings.HasPrefix(text.String(), "FAILED\n  X-01\n    B: two\n      cases/b.yaml\n      - exit 1?[2J, not 0\n"), text.String())
	require.Contains(t, text.String(), "it needs root")
	require.NotContains(t, text.String(), "HELD")
	require.NoError(t, r.WriteJUnit(&xml))
	require.Contains(t, xml.String(), `failures="1" skipped="1"`)
	require.NoError(t, r.WriteJSON(&doc))
	require.True(t, json.Valid(doc.Bytes()))
	r.Results = r.Results[:1]
	r.judge()
	require.True(t, r.OK)
	require.False(t, func() bool { none := &Report{}; none.judge(); return none.OK }(), "nothing shown is nothing held")
}
