package policy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
)

// wholeOf is everything that rules could read.
func wholeOf(t testing.TB, e *Engine) *store {
	t.Helper()
	s, err := e.settings.whole()
	require.NoError(t, err)
	return s
}

func listedDigest(i int) string {
	sum := sha256.Sum256(fmt.Append(nil, i))
	return hex.EncodeToString(sum[:])
}

// lists makes a site's data with up to n entries in each of its lists, from a
// small set of digests so that the lists have some in common.
func lists(r *rand.Rand, n int) document {
	list := func(entry func(i int) document) document {
		out := document{}
		for range r.IntN(n + 1) {
			i := r.IntN(2 * n)
			out[listedDigest(i)] = entry(i)
		}
		return out
	}
	allow := func() document {
		return list(func(i int) document { return []document{{}, {"note": "build " + fmt.Sprint(i)}}[r.IntN(2)] })
	}
	deny := func() document {
		return list(func(i int) document {
			return []document{{}, {"reason": fmt.Sprint("r", r.IntN(3), "\u00e9\"")}, {"ticket": "T-1"}, {"reason": "r", "ticket": "T-2"}}[r.IntN(4)]
		})
	}
	layer := func() document {
		digests := document{}
		if r.IntN(2) == 0 {
			digests["require_listed"] = r.IntN(2) == 0
		}
		if r.IntN(3) > 0 {
			digests["allow"] = allow()
		}
		if r.IntN(3) > 0 {
			digests["deny"] = deny()
		}
		if r.IntN(8) == 0 {
			return document{}
		}
		return document{"digests": digests}
	}
	config := document{}
	if r.IntN(4) > 0 {
		config["defaults"] = layer()
	}
	if r.IntN(4) > 0 {
		config["services"] = document{"redis": layer(), "other": layer()}
	}
	data := document{"config": config}
	if r.IntN(3) > 0 {
		data["catalog"] = list(func(i int) document {
			return document{"service": []string{"redis", "other"}[r.IntN(2)], "version": []string{"7.0.15", "7.0.14"}[r.IntN(2)]}
		})
	}
	return data
}

func textOf(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}

// indexedFile builds a site with an index, and checks it.
func indexedFile(t testing.TB, dir string) string {
	t.Helper()
	p, err := Pack(context.Background(), dir, PackOptions{Index: true})
	require.NoError(t, err)
	name := bundleFile(t, p.Bundle)
	_, err = Inspect(context.Background(), name, nil)
	require.NoError(t, err)
	return name
}

func loadPath(t testing.TB, path string) *Engine {
	t.Helper()
	e, err := loadWhole(context.Background(), Options{Path: path, Deadline: patience})
	require.NoError(t, err)
	return e
}

// decided is a decision without what is different in each.
func decided(t *testing.T, e *Engine, in *admission.Input) string {
	t.Helper()
	d, err := e.Decide(context.Background(), in)
	require.NoError(t, err)
	d.DecisionID, d.Policy = "", admission.PolicyID{}
	return textOf(t, d)
}

// Whatever the lists say, a site decides the same with an index and without, in
// every way that a decision is made, and what is made of an index again is the
// site.
func TestIndexDecidesTheSame(t *testing.T) {
	const rule = "package site.lists\n\nimport rego.v2\n\n# METADATA\n# title: t\n# custom: {code: site_x, severity: low}\n" +
		"deny contains {\"code\": \"site_x\", \"message\": \"m\", \"evidence\": {\"n\": count(data.config.defaults.digests.deny), \"of\": object.get(data.catalog, input.binary.sha256, {}), \"all\": count(data.catalog)}} if count(data.config.defaults.digests.allow) > 20\n"
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 24 {
		data := lists(r, []int{4, 40, 700}[round%3])
		site := files{"data.json": textOf(t, data)}
		if round%4 == 0 {
			site["site/lists/lists.rego"] = rule
		}
		dir := writeSite(t, site)
		name := indexedFile(t, dir)
		plain, fast := loadPath(t, dir), loadPath(t, name)
		back, err := Pack(context.Background(), name, PackOptions{})
		require.NoError(t, err)
		again := loadPath(t, bundleFile(t, back.Bundle))
		require.Equal(t, wholeOf(t, plain).root.String(), wholeOf(t, fast).root.String())
		require.Equal(t, wholeOf(t, plain).root.String(), wholeOf(t, again).root.String())
		listed, err := Catalog(context.Background(), name)
		require.NoError(t, err)
		want, err := Catalog(context.Background(), dir)
		require.NoError(t, err)
		require.Equal(t, want, listed)

		for n := range 60 {
			in := goodInput()
			in.Request.Service = []string{"redis", "other", "third"}[n%3]
			in.Service.Name, in.Request.Instance = in.Request.Service, "private:"+in.Request.Service
			in.Binary.SHA256 = listedDigest(r.IntN(1600))
			if n%10 == 0 {
				in.Binary.SHA256 = []string{"", "x", strings.ToUpper(listedDigest(1)), listedDigest(1)[:63], strings.Repeat("0", 64), strings.Repeat("f", 64)}[n/10]
			}
			require.Equal(t, decided(t, plain, in), decided(t, fast, in), in.Binary.SHA256)
			if n%20 == 1 {
				a, err := plain.Explain(context.Background(), in)
				require.NoError(t, err)
				b, err := fast.Explain(context.Background(), in)
				require.NoError(t, err)
				require.Equal(t, textOf(t, a.Fired), textOf(t, b.Fired))
				require.Equal(t, textOf(t, a.Remedies), textOf(t, b.Remedies))
			}
		}
	}
}

// What no data file may say no index may say.
func TestIndexOfMalformedLists(t *testing.T) {
	long := strings.Repeat("x", 1<<16)
	for name, entry := range map[string]string{
		"upper case": `"` + strings.ToUpper(listedDigest(1)) + `": {}`, "short": `"abc": {}`, "no object": `"` + listedDigest(1) + `": true`,
		"a number": `"` + listedDigest(1) + `": {"note": 1}`, "twice": `"` + listedDigest(1) + `": {}, "` + listedDigest(1) + `": {}`,
	} {
		dir := writeSite(t, files{"data.json": `{"config": {"defaults": {"digests": {"allow": {` + entry + `}}}}}`})
		_, err := Load(context.Background(), Options{Path: dir})
		require.Error(t, err, name)
		_, err = Pack(context.Background(), dir, PackOptions{Index: true})
		require.Error(t, err, name)
	}
	list := document{listedDigest(0): document{"reason": long}}
	for i := range 20 {
		list[listedDigest(i+1)] = document{}
	}
	dir := writeSite(t, files{"data.json": textOf(t, document{"config": document{"defaults": document{"digests": document{"deny": list}}}})})
	_, err := Pack(context.Background(), dir, PackOptions{Index: true})
	require.ErrorContains(t, err, "config.defaults.digests.deny."+listedDigest(0)+": more than 65535 bytes")
}

// longSite lists n digests, and the binary of the known launch.
func longSite(n int) files {
	allow := document{goodInput().Binary.SHA256: document{}}
	for i := range n {
		allow[listedDigest(i)] = document{}
	}
	return files{
		"data.json": `{"config": {"defaults": {"digests": {"require_listed": true, "allow": ` + mustText(allow) + `}}}}`,
		".manifest": `{"metadata": {"sequence": 7}}`,
	}
}

func mustText(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// Wherever one bit of an index changes, no launch is decided by it: the file does
// not load, or the decision that needs the changed page is an error. What loads
// and decides says the same as before.
func TestIndexOneBit(t *testing.T) {
	p, err := Pack(context.Background(), writeSite(t, longSite(400)), PackOptions{Index: true})
	require.NoError(t, err)
	before := loadPath(t, bundleFile(t, p.Bundle))
	pagesAt := int64(len(p.Bundle)) - allowList(t, before).pages.size
	changed, refused := 0, 0
	for at := 0; at < len(p.Bundle); at += 1 + len(p.Bundle)/150 {
		text := slices.Clone(p.Bundle)
		text[at] ^= 1 << (at % 8)
		name := filepath.Join(t.TempDir(), "site.index")
		require.NoError(t, os.WriteFile(name, text, 0o600))
		e, err := Load(context.Background(), Options{Path: name, Deadline: patience})
		if err != nil {
			refused++
			continue
		}
		_, err = Inspect(context.Background(), name, nil)
		if int64(at) >= pagesAt {
			require.Error(t, err, "policy check reads every page")
		}
		for i := 0; i < 420; i += 13 {
			in := goodInput()
			in.Binary.SHA256 = listedDigest(i)
			d, err := e.Decide(context.Background(), in)
			if err == nil {
				require.Equal(t, i < 400, d.Allow)
				continue
			}
			changed++
			require.False(t, d.Allow)
			c, _ := code.Of(err)
			require.Equal(t, code.PolicyInvalid, c)
			require.ErrorContains(t, err, name)
		}
	}
	require.NotZero(t, changed)
	require.NotZero(t, refused)
}

// allowList is the allow-list of an indexed site.
func allowList(t testing.TB, e *Engine) *tree {
	t.Helper()
	list, ok := e.config.defaults.listed.(*tree)
	require.True(t, ok, "the list is in an index")
	return list
}

// A file that is cut off anywhere does not load; one that shrinks or changes
// afterwards decides nothing, and one that is replaced goes on as it was.
func TestIndexCutOff(t *testing.T) {
	p, err := Pack(context.Background(), writeSite(t, longSite(400)), PackOptions{Index: true})
	require.NoError(t, err)
	for _, n := range []int{0, 1, 15, 16, 23, 24, 25, 100, 2000, len(p.Bundle) / 2, len(p.Bundle) - 1} {
		_, err := Load(context.Background(), Options{Path: bundleFile(t, p.Bundle[:n])})
		require.Error(t, err, n)
	}
	_, err = Load(context.Background(), Options{Path: bundleFile(t, append(slices.Clone(p.Bundle), 0))})
	require.ErrorContains(t, err, "bytes of pages")

	name := bundleFile(t, p.Bundle)
	e := loadPath(t, name)
	in := goodInput()
	in.Binary.SHA256 = listedDigest(3)
	require.NoError(t, os.Rename(name, name+".old"))
	require.NoError(t, os.WriteFile(name, []byte("another"), 0o600))
	d, err := e.Decide(context.Background(), in)
	require.NoError(t, err)
	require.True(t, d.Allow)
	require.NoError(t, os.Truncate(name+".old", 4000))
	in.Binary.SHA256 = listedDigest(4)
	d, err = e.Decide(context.Background(), in)
	require.ErrorContains(t, err, "not as it was built")
	require.False(t, d.Allow)
}

// A resident process keeps the policy that it has when an index cannot be believed
// where the known launch looks; a command refuses whatever it is asked.
func TestIndexReloaded(t *testing.T) {
	good, err := Pack(context.Background(), writeSite(t, longSite(10)), PackOptions{Index: true})
	require.NoError(t, err)
	site := longSite(20)
	later, err := Pack(context.Background(), writeSite(t, site), PackOptions{Index: true})
	require.NoError(t, err)
	later.Bundle[len(later.Bundle)-1] ^= 1
	name := bundleFile(t, good.Bundle)
	m, err := NewManager(context.Background(), Options{Path: name, Deadline: patience})
	require.NoError(t, err)
	before := m.Current()
	require.NoError(t, os.Rename(bundleFile(t, later.Bundle), name))
	require.ErrorContains(t, m.Reload(context.Background()), "not as it was built")
	require.Same(t, before, m.Current())

	e, err := Load(context.Background(), Options{Path: name, Deadline: patience})
	if err == nil {
		for range 2 {
			_, err = e.Decide(context.Background(), goodInput())
			c, _ := code.Of(err)
			require.Equal(t, code.PolicyInvalid, c)
		}
	}
	require.ErrorContains(t, err, "not as it was built")
}

// A bundle with an index is signed as any other, over its table and so over every
// page.
func TestIndexSigned(t *testing.T) {
	key := newSigner(t, "ed25519")
	text := func(n int) []byte {
		p, err := Pack(context.Background(), writeSite(t, longSite(n)), PackOptions{Index: true})
		require.NoError(t, err)
		p, err = Sign(context.Background(), p.Bundle, key)
		require.NoError(t, err)
		return p.Bundle
	}
	load := func(text []byte, key *Key) error {
		_, err := Load(context.Background(), Options{Path: bundleFile(t, text), Keys: []*Key{key}, Marks: newMarks(), Deadline: patience})
		return err
	}
	a, b := text(400), text(500)
	require.NoError(t, load(a, key.Key))
	require.Error(t, load(a, newSigner(t, "ed25519").Key))
	unsigned, err := Pack(context.Background(), writeSite(t, longSite(400)), PackOptions{Index: true})
	require.NoError(t, err)
	require.ErrorContains(t, load(unsigned.Bundle, key.Key), "not signed")

	// The table, or the pages, of another list under a signature.
	inner := func(text []byte) ([]byte, []byte) {
		bundle, p, err := readIndexed(bytes.NewReader(text), int64(len(text)), "x")
		require.NoError(t, err)
		return bundle, text[p.base:]
	}
	bundleA, _ := inner(a)
	bundleB, pagesB := inner(b)
	swapped, err := writeIndexed(bundleA, pagesB)
	require.NoError(t, err)
	require.Error(t, load(swapped, key.Key))
	other, err := unpack(bundleB)
	require.NoError(t, err)
	at := slices.IndexFunc(other, func(f source) bool { return f.name == indexName })
	changed, err := writeIndexed(changeBundle(t, bundleA, replace(indexName, string(other[at].text))), pagesB)
	require.NoError(t, err)
	require.ErrorContains(t, load(changed, key.Key), "not as it was signed")

	// The bundle inside alone, and the table in a directory.
	require.ErrorContains(t, load(bundleA, key.Key), "without its pages")
	_, err = loadSite(t, files{"data.json": "{}", indexName: string(other[at].text)})
	require.ErrorContains(t, err, "without its pages")
	none, err := writeIndexed(bundleOf(t, signedSite("7"), nil), nil)
	require.NoError(t, err)
	_, err = Load(context.Background(), Options{Path: bundleFile(t, none)})
	require.ErrorContains(t, err, "is missing beside the pages")
}

// What the digests say of the pages is not enough: a builder that errs is found
// where its error would decide.
func TestIndexBuiltWrongly(t *testing.T) {
	entries := func(n int) []record {
		var out []record
		for i := range n {
			out = append(out, record{key: bytes.Repeat([]byte{byte(i + 1)}, digestBytes)})
		}
		return out
	}
	leaf := func(records []record) []byte {
		var out []byte
		for _, r := range records {
			out = append(append(append(out, r.key...), byte(len(r.value)>>8), byte(len(r.value))), r.value...)
		}
		return out
	}
	for name, change := range map[string]func(r []record) []byte{
		"two in the wrong order":    func(r []record) []byte { r[2], r[3] = r[3], r[2]; return leaf(r) },
		"one twice":                 func(r []record) []byte { r[3].key = r[2].key; return leaf(r) },
		"cut off":                   func(r []record) []byte { return leaf(r)[:100] },
		"no JSON":                   func(r []record) []byte { r[2].value = []byte("{"); return leaf(r) },
		"a value of another form":   func(r []record) []byte { r[2].value = []byte(`{"note": 1}`); return leaf(r) },
		"a value that is no object": func(r []record) []byte { r[2].value = []byte(`[]`); return leaf(r) },
	} {
		page := change(entries(6))
		p := &pages{r: bytes.NewReader(page), size: int64(len(page)), name: "x"}
		list := &tree{pages: p, name: "config.defaults.digests.allow", entries: 6, height: 1,
			root: pageRef{sum: sha256.Sum256(page), length: int64(len(page))}}
		_, _, err := list.of(strings.Repeat("03", 32))
		require.ErrorContains(t, err, "not as it was built", name)
		_, err = list.all()
		require.Error(t, err, name)
	}
}

// Lists of digests have the same entries in an index as in a data file.
func TestEntryForms(t *testing.T) {
	config, err := loadSchema("config.json")
	require.NoError(t, err)
	digests := config.Definitions["layer"].Properties["digests"]
	require.NotNil(t, digests)
	for _, key := range []string{"allow", "deny"} {
		want := digests.Properties[key].Additional
		have, err := entryForm("config.defaults.digests." + key)
		require.NoError(t, err)
		for _, text := range []string{`{}`, `{"reason": "x"}`, `{"reason": 1}`, `{"ticket": "x", "other": "y"}`, `[]`, `""`, `{"reason": {}}`, `null`} {
			n, err := parseJSON([]byte(text))
			require.NoError(t, err)
			require.Equal(t, want.check("x", n) == nil, have.check("x", n) == nil, "%s: %s", key, text)
		}
	}
}

func TestIndexTable(t *testing.T) {
	sum := strings.Repeat("ab", 32)
	for name, text := range map[string]string{
		"empty": "", "another release": "spawnward index 2\nbytes 0\n", "no bytes": indexHead + "\n", "no end": indexHead + "\nbytes 0",
		"a word more": indexHead + "\nbytes 99\ncatalog 1 1 0 1 " + sum + " x\n", "a sign": indexHead + "\nbytes +1\n",
		"no entries": indexHead + "\nbytes 99\ncatalog 0 1 0 1 " + sum + "\n", "too many entries": indexHead + "\nbytes 99\ncatalog 4 1 0 1 " + sum + "\n",
		"a height": indexHead + "\nbytes 99\ncatalog 1 0 0 1 " + sum + "\n", "higher": indexHead + "\nbytes 99\ncatalog 1 9 0 1 " + sum + "\n",
		"order": indexHead + "\nbytes 99\nconfig.x 1 1 0 1 " + sum + "\ncatalog 1 1 0 1 " + sum + "\n", "twice": indexHead + "\nbytes 99\ncatalog 1 1 0 1 " + sum + "\ncatalog 1 1 0 1 " + sum + "\n",
		"negative": indexHead + "\nbytes 99\ncatalog -1 1 0 1 " + sum + "\n", "short digest": indexHead + "\nbytes 99\ncatalog 1 1 0 1 abab\n", "upper": indexHead + "\nbytes 99\ncatalog 1 1 0 1 " + strings.ToUpper(sum) + "\n",
	} {
		_, err := parseIndex([]byte(text), &pages{})
		require.Error(t, err, name)
	}
	for _, name := range []string{"config", "waivers", "config.defaults.digests.other", "config.services.digests.allow", "config.services.redis.x.digests.deny", "config.defaults.deny"} {
		s := &site{config: document{"defaults": document{"digests": document{}}, "services": document{"redis": document{}}}, pages: &pages{}}
		s.index = &index{lists: []*tree{{name: name}}}
		require.Error(t, s.attach(), name)
	}
	s := &site{config: document{"defaults": document{"digests": document{"deny": document{}}}}, catalog: document{"x": document{}}, pages: &pages{}}
	for _, name := range []string{"config.defaults.digests.deny", "catalog"} {
		s.index = &index{lists: []*tree{{name: name}}}
		require.ErrorContains(t, s.attach(), "a list is in one place")
	}
}

var errDisk = errors.New("the disk is gone")

type brokenDisk struct{}

func (brokenDisk) ReadAt([]byte, int64) (int, error) { return 0, errDisk }

// A disk that fails while a decision is made is no admission, whatever the lists
// are for, and the next one asks again.
func TestIndexUnreadable(t *testing.T) {
	for _, key := range []string{"allow", "deny"} {
		list := document{}
		for i := range 40 {
			list[listedDigest(i)] = document{}
		}
		e := loadPath(t, indexedFile(t, writeSite(t, files{"data.json": textOf(t, document{"config": document{"defaults": document{"digests": document{key: list}}}})})))
		lists := map[string]digestList{"allow": e.config.defaults.listed, "deny": e.config.defaults.denied}
		p := lists[key].(*tree).pages
		disk := p.r
		in := goodInput()
		in.Binary.SHA256 = listedDigest(100)
		p.r = brokenDisk{}
		d, err := e.Decide(context.Background(), in)
		require.ErrorIs(t, err, errDisk)
		require.False(t, d.Allow)
		p.r = disk
		d, err = e.Decide(context.Background(), in)
		require.NoError(t, err)
		require.True(t, d.Allow)
	}
}
