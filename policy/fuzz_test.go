package policy

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"
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

// A file with an index is refused, or every lookup says what reading all of it
// says, and what is made of it again says the same.
func FuzzIndex(f *testing.F) {
	list := document{}
	for i := range 300 {
		list[listedDigest(i)] = []document{{}, {"reason": "r"}}[i%2]
	}
	data := document{"config": document{"defaults": document{"digests": document{"allow": list, "deny": list}}}}
	for _, text := range []string{textOf(f, data), `{"config": {"services": {"redis": {"digests": {"allow": {}}}}}}`} {
		s, err := assemble([]source{{"data.json", []byte(text)}})
		require.NoError(f, err)
		files, pages, err := s.packed(true)
		require.NoError(f, err)
		at := slices.IndexFunc(files, func(f source) bool { return f.name == indexName })
		f.Add(files[0].text, files[at].text, pages)
		f.Add(files[0].text, files[at].text, pages[:len(pages)/2])
	}
	f.Add([]byte(`{"catalog": {}}`), []byte(indexHead+"\nbytes 99\ncatalog 2 1 0 99 "+strings.Repeat("ab", 32)+"\n"), make([]byte, 99))
	f.Fuzz(func(t *testing.T, data, table, text []byte) {
		// The fuzzer cannot find digests: those of the pages are written for it.
		for _, resummed := range []bool{false, true} {
			p := &pages{r: bytes.NewReader(text), size: int64(len(text)), name: "x"}
			if resummed {
				table = resum(table, text)
			}
			s, err := assembleIndexed([]source{{"data.json", data}, {indexName, table}}, p)
			if err != nil {
				continue
			}
			for _, list := range s.index.lists {
				agrees(t, list)
			}
			if s.checkIndex() != nil {
				continue
			}
			files, _, err := s.packed(false)
			require.NoError(t, err)
			again, err := assemble(files)
			require.NoError(t, err)
			for _, list := range s.index.lists {
				want, err := list.all()
				require.NoError(t, err)
				section, key, err := again.place(list.name)
				require.NoError(t, err)
				have, err := listOf(section[key]).all()
				require.NoError(t, err)
				require.Equal(t, want, have)
			}
		}
	})
}

// resum gives a table in which the digests of the roots are those of what stands
// at their places.
func resum(table, text []byte) []byte {
	rows := strings.Split(string(table), "\n")
	for i, row := range rows {
		words := strings.Split(row, " ")
		if len(words) != 6 {
			continue
		}
		at, err1 := strconv.Atoi(words[3])
		n, err2 := strconv.Atoi(words[4])
		if err1 == nil && err2 == nil && at >= 0 && n > 0 && at < len(text) && n <= len(text)-at {
			words[5] = fmt.Sprintf("%x", sha256.Sum256(text[at:at+n]))
			rows[i] = strings.Join(words, " ")
		}
	}
	return []byte(strings.Join(rows, "\n"))
}

// agrees demands that a list that can be read says of each digest what it says
// when it is read whole, and that nothing is found in one that cannot but what
// stands there.
func agrees(t *testing.T, list *tree) {
	all, err := list.all()
	probe := slices.Concat(sortedKeys(all), []string{listedDigest(1), listedDigest(1000), strings.Repeat("0", 64), strings.Repeat("f", 64)})
	for _, digest := range probe {
		entry, listed, failed := list.of(digest)
		if err == nil {
			require.NoError(t, failed)
			want, ok := all[digest]
			require.Equal(t, ok, listed)
			if ok {
				require.Equal(t, want, entry)
			}
		}
	}
}
