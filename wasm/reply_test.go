package wasm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseReply(t *testing.T) {
	r, err := ParseReply([]byte(` {"v":1,"set":{"A":"x","_b1":""},"unset":["C"],"warnings":["w"],"reject":{"code":"no_go","message":"m"}}` + "\n"))
	require.NoError(t, err)
	require.Equal(t, Reply{1, map[string]string{"A": "x", "_b1": ""}, []string{"C"}, []string{"w"}, &Rejection{"no_go", "m"}}, r)
	_, err = ParseReply([]byte(`{"v":1}`))
	require.NoError(t, err)
}

// badReplies are replies that must be refused, with a part of the message.
func badReplies() map[string][2]string {
	many := func(n int, form string) string {
		var parts []string
		for i := range n {
			parts = append(parts, fmt.Sprintf(form, i))
		}
		return strings.Join(parts, ",")
	}
	return map[string][2]string{
		"nothing":            {"", "no reply"},
		"white space":        {" \n", "no reply"},
		"no object":          {"[]", `"{" is expected`},
		"null":               {"null", `"{" is expected`},
		"no version":         {`{}`, "v is missing"},
		"other version":      {`{"v":2}`, "v must be the number 1"},
		"version as text":    {`{"v":"1"}`, "v must be"},
		"version in other":   {`{"v":1.0}`, "v must be"},
		"bad UTF-8":          {"{\"v\":1,\"warnings\":[\"\xff\"]}", "UTF-8"},
		"half a surrogate":   {`{"v":1,"warnings":["\ud800"]}`, "surrogate"},
		"duplicate field":    {`{"v":1,"v":1}`, `"v" stands twice`},
		"duplicate name":     {`{"v":1,"set":{"A":"1","A":"2"}}`, `"A" stands twice`},
		"unknown field":      {`{"v":1,"sets":{}}`, `"sets" does not exist`},
		"other case":         {`{"V":1}`, `"V" does not exist`},
		"unknown in reject":  {`{"v":1,"reject":{"code":"a","msg":""}}`, `"msg"`},
		"trailing object":    {`{"v":1}{}`, "follows"},
		"trailing text":      {`{"v":1} x`, "follows"},
		"trailing NUL":       {"{\"v\":1}\x00", "follows"},
		"cut off":            {`{"v":1,"set":{"A"`, "in the middle"},
		"deep nesting":       {`{"v":1,"set":` + strings.Repeat("[", 30000), `"{" is expected`},
		"deep objects":       {`{"v":1,"set":{"A":` + strings.Repeat(`{"a":`, 10000), "a string is expected"},
		"number as value":    {`{"v":1,"set":{"A":1}}`, "a string is expected"},
		"name with =":        {`{"v":1,"set":{"A=B":"x"}}`, "not of letters"},
		"name with NUL":      {`{"v":1,"set":{"A\u0000":"x"}}`, "not of letters"},
		"name with escape":   {`{"v":1,"set":{"\u001b[2J":"x"}}`, `"\x1b[2J"`},
		"empty name":         {`{"v":1,"unset":[""]}`, "not of letters"},
		"name with line":     {`{"v":1,"unset":["A\n"]}`, "not of letters"},
		"digit first":        {`{"v":1,"unset":["1A"]}`, "not of letters"},
		"foreign letter":     {`{"v":1,"unset":["Ä"]}`, "not of letters"},
		"value with NUL":     {`{"v":1,"set":{"A":"\u0000"}}`, "NUL"},
		"long value":         {`{"v":1,"set":{"A":"` + strings.Repeat("x", MaxValue+1) + `"}}`, "at most 32768"},
		"long whole":         {`{"v":1,"warnings":["` + strings.Repeat("x", MaxReply) + `"]}`, "longer than 65536"},
		"set and unset":      {`{"v":1,"set":{"A":""},"unset":["A"]}`, "twice"},
		"unset twice":        {`{"v":1,"unset":["A","A"]}`, "twice"},
		"too many set":       {`{"v":1,"set":{` + many(MaxChanges+1, `"A%d":""`) + `}}`, "more than 256"},
		"too many unset":     {`{"v":1,"unset":[` + many(MaxChanges+1, `"A%d"`) + `]}`, "more than 256"},
		"too many of both":   {`{"v":1,"set":{"B":""},"unset":[` + many(MaxChanges, `"A%d"`) + `]}`, "257 names"},
		"too many warnings":  {`{"v":1,"warnings":[` + many(maxWarnings+1, `"%d"`) + `]}`, "more than 64"},
		"long warning":       {`{"v":1,"warnings":["` + strings.Repeat("x", maxText+1) + `"]}`, "warning"},
		"rejection no code":  {`{"v":1,"reject":{}}`, "code of a rejection"},
		"rejection bad code": {`{"v":1,"reject":{"code":"A\u001b"}}`, "code of a rejection"},
	}
}

func TestParseReplyRefuses(t *testing.T) {
	for name, c := range badReplies() {
		t.Run(name, func(t *testing.T) {
			_, err := ParseReply([]byte(c[0]))
			require.ErrorContains(t, err, c[1])
			require.NotContains(t, err.Error(), "\x1b")
		})
	}
}

func FuzzReply(f *testing.F) {
	f.Add([]byte(goodReply))
	for _, c := range badReplies() {
		f.Add([]byte(c[0]))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseReply(data)
		if err != nil {
			for _, c := range err.Error() {
				require.True(t, c >= ' ' && c < 0x7f || c == '…', "%q", err.Error())
			}
			return
		}
		text, err := json.Marshal(r)
		require.NoError(t, err)
		if len(text) > MaxReply {
			return
		}
		again, err := ParseReply(text)
		require.NoError(t, err)
		a, err := json.Marshal(again)
		require.NoError(t, err)
		require.True(t, bytes.Equal(text, a))
	})
}

func TestParseInput(t *testing.T) {
	in, err := ParseInput([]byte(`{"service":"a","config":{"n":12345678901234567890}}`))
	require.NoError(t, err)
	data, err := in.encode()
	require.NoError(t, err)
	require.JSONEq(t, `{"v":1,"service":"a","version":"","instance":"","binary":{"path":"","sha256":""},"args":[],"env":{},"labels":{},"config":{"n":12345678901234567890}}`, string(data))
	for _, bad := range []string{"", "[]", `{"servce":"a"}`, `{}{}`, `{"v":2}`, "null x"} {
		_, err := ParseInput([]byte(bad))
		require.Error(t, err, bad)
	}
	_, err = Input{Args: []string{strings.Repeat("x", MaxInput)}}.encode()
	require.ErrorContains(t, err, "at most 1048576")
}

func whole(r io.Reader) []byte {
	data, _ := io.ReadAll(r) // readers of memory
	return data
}

func FuzzMessages(f *testing.F) {
	f.Add(whole(job{parts: [4][]byte{[]byte("n"), []byte("c"), []byte("i")}}.encode()))
	f.Add(whole(answer{end: trapped, parts: [4][]byte{[]byte("cause")}}.encode()))
	f.Fuzz(func(t *testing.T, data []byte) {
		if j, err := decodeJob(bytes.NewReader(data)); err == nil {
			require.True(t, bytes.HasPrefix(data, whole(j.encode())))
		}
		if a, err := decodeAnswer(bytes.NewReader(data), 1<<10); err == nil {
			require.True(t, bytes.HasPrefix(data, whole(a.encode())))
		}
	})
}
