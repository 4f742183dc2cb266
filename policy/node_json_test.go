package policy

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is read of JSON is what encoding/json reads, but for keys that are
// repeated and values that are nested too deep.
func FuzzJSON(f *testing.F) {
	for _, text := range []string{
		`{"a": {"b": [1, -2.5e3, "x\u00e9\n", true, false, null, {}, []]}}`, ` [ ] `, `"\ud800"`, `01`, `-`, `1.`, `tru`, `{"a":1,}`, `[1 2]`, `{"a" 1}`, `"a`, "\"\t\"", `{} {}`, `{"a":1,"a":2}`, "\x00", "\"\\", `1e999`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		n, err := parseJSON(text)
		var want any
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.UseNumber()
		if err != nil {
			own := strings.Contains(err.Error(), "repeated") || strings.Contains(err.Error(), "nested") || strings.Contains(err.Error(), "UTF-8")
			require.True(t, own || !json.Valid(text), "%v", err)
			return
		}
		require.True(t, json.Valid(text))
		require.NoError(t, dec.Decode(&want))
		require.Equal(t, want, n.plain())
	})
}

func TestJSONErrorsNameTheLine(t *testing.T) {
	for text, want := range map[string]string{
		"{\n\"a\": 1,\n\"a\": 2}": "line 3: the key \"a\" is repeated",
		"{\n\"a\"\n1}":            "line 3: invalid character '1' looking for ':'",
		"[\n1,\n":                 "line 3: unexpected EOF",
		"[\n01]":                  "line 2: invalid number \"01\"",
		"[1] 2":                   "more than one value",
		"":                        "unexpected EOF",
	} {
		_, err := parseJSON([]byte(text))
		require.ErrorContains(t, err, want)
	}
}
