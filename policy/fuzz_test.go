package policy

import (
	"bytes"
	"compress/gzip"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/admission"
)

// What can be read as a bundle can be written, and is then read as the same.
func FuzzBundle(f *testing.F) {
	for _, text := range [][]byte{
		archive(f, entry{name: "data.yaml", text: "config: {}"}, entry{name: "./site/a/a.rego", text: "package site.a"}),
		archive(f, entry{name: ".manifest", text: `{"roots": ["config"], "metadata": {"sequence": 1}}`}, entry{name: "/data.json", text: "{}"}),
		archive(f, entry{name: ".signatures.json", text: `{"signatures": ["eyJhbGciOiJFUzI1NiJ9.e30.AA"]}`}),
		archive(f), {},
	} {
		zr, err := gzip.NewReader(bytes.NewReader(text))
		var plain bytes.Buffer
		if err == nil {
			_, err = plain.ReadFrom(zr)
		}
		if err != nil {
			plain.Reset()
		}
		f.Add(plain.Bytes())
	}
	key := newSigner(f, "p256").Key
	f.Fuzz(func(t *testing.T, tar []byte) {
		var packed bytes.Buffer
		zw := gzip.NewWriter(&packed)
		_, err := zw.Write(tar)
		require.NoError(t, err)
		require.NoError(t, zw.Close())
		files, err := unpack(packed.Bytes())
		if err != nil {
			return
		}
		again, err := write(append([]source{}, files...))
		require.NoError(t, err)
		same, err := unpack(again)
		require.NoError(t, err)
		require.ElementsMatch(t, files, same)
		s := &site{parsed: map[string]*node{}}
		_, err = s.verifySignature(files, []*Key{key})
		require.Error(t, err, "nobody signed it")
		_ = s.take(files) // any answer will do but a panic
	})
}

// A document is a decision only when it is one in every member, and one that
// admits is never taken from a document that says otherwise.
func FuzzDecision(f *testing.F) {
	for _, text := range []string{
		`{"schema": 1, "allow": true, "mode": "enforce", "violations": set(), "warnings": set(), "waived": [], "grants": {"placement", "version", "ownership"}, "obligations": ` + obligations(noConfine) + `}`,
		`{"schema": 1, "allow": false, "mode": "enforce", "violations": {{"code": "binary_hard_links", "message": "m", "evidence": {}}, {"code": "site_x", "message": "m", "rule": "site.x", "evidence": {}}}, "warnings": set(), "waived": [{"code": "a", "waiver": "b", "expires": "c"}], "grants": set(), "obligations": ` + obligations(noConfine) + `}`,
		`{"allow": true}`, `true`, `[]`, `{}`, `null`, `1e999`,
	} {
		f.Add(text)
	}
	e, err := build(Options{}, embedded(), &site{})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, text string) {
		v, err := ast.ParseTerm(text)
		if err != nil || v == nil || !v.IsGround() {
			return
		}
		d, err := decodeDecision(v.Value)
		if err != nil {
			require.Equal(t, admission.Decision{}, d)
			return
		}
		o := v.Value.(ast.Object)
		require.Equal(t, ast.Boolean(d.Allow), o.Get(ast.StringTerm("allow")).Value)
		e.complete(d.Violations, d.Warnings)
		if e.verify(&d, goodInput()) == nil && d.Allow {
			require.Empty(t, d.Violations)
			require.Subset(t, d.Grants, requiredGrants())
		}
	})
}
