package policy

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lestrrat-go/jwx/v3/jws/jwsbb"
	opabundle "github.com/open-policy-agent/opa/v1/bundle"
	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/code"
)

// resigned is the signatures file of a good bundle with another header or other
// claims, with a signature of its own, or with the old one.
func resigned(t testing.TB, key *SigningKey, change func(header, claims map[string]any), old bool) string {
	t.Helper()
	all, err := unpack(bundleOf(t, signedSite("7"), key))
	require.NoError(t, err)
	i := slices.IndexFunc(all, func(f source) bool { return f.name == signaturesName })
	token, err := readToken(all[i].text)
	require.NoError(t, err)
	parts := strings.Split(token, ".")
	var header, claims map[string]any
	require.NoError(t, decodePart(parts[0], &header))
	require.NoError(t, decodePart(parts[1], &claims))
	change(header, claims)
	for i, v := range []any{header, claims} {
		text, err := json.Marshal(v)
		require.NoError(t, err)
		parts[i] = base64.RawURLEncoding.EncodeToString(text)
	}
	if !old {
		sum, err := jwsbb.Sign(key.private, key.Key.algorithms[0], []byte(parts[0]+"."+parts[1]), nil)
		require.NoError(t, err)
		parts[2] = base64.RawURLEncoding.EncodeToString(sum)
	}
	return `{"signatures": ["` + strings.Join(parts, ".") + `"]}`
}

func publicPEM(t testing.TB, k *Key) string {
	der, err := x509.MarshalPKIXPublicKey(k.public)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func privatePEM(t testing.TB, k *SigningKey) string {
	der, err := x509.MarshalPKCS8PrivateKey(k.private)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// newSigner makes a key of a kind: rsa, weak, p256, p384, ed25519.
func newSigner(t testing.TB, kind string) *SigningKey {
	t.Helper()
	var private any
	var err error
	switch kind {
	case "rsa":
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	case "p256":
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "p384":
		private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ed25519":
		_, private, err = ed25519.GenerateKey(rand.Reader)
	}
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	key, err := ParseSigningKey(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	require.NoError(t, err)
	return key
}

func signedSite(sequence string) files {
	return files{
		"site/net/net.rego": netRules, "data.yaml": "# words\nconfig:\n  defaults: {binary: {max_bytes: 0x1000000}}\n",
		"site/net/net_test.rego": "package site.net_test\n", ".manifest": `{"revision": "r` + sequence + `", "metadata": {"sequence": ` + sequence + `}}`,
	}
}

// bundleOf packs and signs a site.
func bundleOf(t testing.TB, f files, key *SigningKey) []byte {
	t.Helper()
	p, err := Pack(context.Background(), writeSite(t, f), PackOptions{})
	require.NoError(t, err)
	if key == nil {
		return p.Bundle
	}
	p, err = Sign(context.Background(), p.Bundle, key)
	require.NoError(t, err)
	return p.Bundle
}

// bundleFile writes a bundle where nobody else can write.
func bundleFile(t testing.TB, text []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "bundle.tar.gz")
	require.NoError(t, os.WriteFile(name, text, 0o600))
	return name
}

// memoryMarks keeps marks for a test.
type memoryMarks struct {
	mu    sync.Mutex
	marks map[string]Mark
}

func (m *memoryMarks) Newest(key, name string) (Mark, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	mark, ok := m.marks[key+name]
	return mark, ok, nil
}

func (m *memoryMarks) Raise(key, name string, mark Mark) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if mark.Sequence > m.marks[key+name].Sequence {
		m.marks[key+name] = mark
	}
	return nil
}

func newMarks() *memoryMarks { return &memoryMarks{marks: map[string]Mark{}} }

func TestBundleIsItsDirectory(t *testing.T) {
	f := signedSite("7")
	f[".manifest"] = "{\n  \"revision\": \"r7\",\n  \"roots\": [\n    \"catalog\",\n    \"config\",\n    \"site\",\n    \"waivers\"\n  ],\n" +
		"  \"rego_version\": 1,\n  \"metadata\": {\n    \"sequence\": 7\n  }\n}\n"
	dir, err := loadSite(t, f)
	require.NoError(t, err)
	text := bundleOf(t, f, newSigner(t, "p256"))
	e, err := Load(context.Background(), Options{Path: bundleFile(t, text), Deadline: patience})
	require.NoError(t, err)
	require.Equal(t, dir.ID(), e.ID())
	require.Equal(t, bundleOf(t, f, nil), bundleOf(t, f, nil))

	p, err := Pack(context.Background(), writeSite(t, f), PackOptions{Revision: "r8", Sequence: 8, Name: "edge"})
	require.NoError(t, err)
	require.Equal(t, int64(8), p.Policy.Sequence)
	require.Equal(t, "r8", p.Policy.Revision)
	require.Equal(t, []string{".manifest", "data.yaml", "site/net/net.rego"}, p.Files)
}

// What this package writes OPA reads, with the signature verified, and what OPA
// writes is read here.
func TestBundlesAreOPAs(t *testing.T) {
	for _, kind := range []string{"rsa", "p256", "p384", "ed25519"} {
		key := newSigner(t, kind)
		config := opabundle.NewVerificationConfig(map[string]*opabundle.KeyConfig{
			"k": {Key: publicPEM(t, key.Key), Algorithm: key.Key.algorithms[0]}}, "k", "", nil)
		text := bundleOf(t, signedSite("7"), key)
		b, err := opabundle.NewReader(bytes.NewReader(text)).WithBundleVerificationConfig(config).Read()
		require.NoError(t, err)
		require.Equal(t, "r7", b.Manifest.Revision)
		require.Len(t, b.Modules, 1)
		require.Contains(t, b.Data, "config")

		require.NoError(t, b.GenerateSignature(opabundle.NewSigningConfig(privatePEM(t, key), key.Key.algorithms[0], ""), "somebody", true))
		var theirs bytes.Buffer
		require.NoError(t, opabundle.Write(&theirs, b))
		e, err := Load(context.Background(), Options{
			Path: bundleFile(t, theirs.Bytes()), Keys: []*Key{newSigner(t, "p256").Key, key.Key}, Marks: newMarks(), Deadline: patience})
		require.NoError(t, err)
		require.Equal(t, int64(7), e.ID().Sequence)
		require.Equal(t, int64(0x1000000), e.Settings("redis").MaxBinaryBytes)
	}
}

type entry struct {
	name string
	text string
	kind byte
}

// archive writes a bundle of any content.
func archive(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	zw := gzip.NewWriter(&out)
	tw := tar.NewWriter(zw)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Mode: 0o644}
		if e.kind == 0 {
			h.Typeflag, h.Size = tar.TypeReg, int64(len(e.text))
		} else {
			h.Linkname = e.text
		}
		require.NoError(t, tw.WriteHeader(h))
		if e.kind == 0 {
			_, err := io.WriteString(tw, e.text)
			require.NoError(t, err)
		}
	}
	require.NoError(t, tw.Close())
	require.NoError(t, zw.Close())
	return out.Bytes()
}

// change gives a bundle with its files changed, its signature as it was.
func changeBundle(t *testing.T, text []byte, change func([]source) []source) []byte {
	t.Helper()
	all, err := unpack(text)
	require.NoError(t, err)
	out, err := write(change(all))
	require.NoError(t, err)
	return out
}

func replace(name, text string) func([]source) []source {
	return func(all []source) []source {
		for i := range all {
			if all[i].name == name {
				all[i].text = []byte(text)
			}
		}
		return all
	}
}

func TestHostileSignedBundles(t *testing.T) {
	key, other := newSigner(t, "p256"), newSigner(t, "p256")
	good := bundleOf(t, signedSite("7"), key)
	twoInOne := func(all []source) []source {
		for i := range all {
			if all[i].name == signaturesName {
				token, err := readToken(all[i].text)
				require.NoError(t, err)
				all[i].text = []byte(`{"signatures": ["` + token + `", "` + token + `"]}`)
			}
		}
		return all
	}
	for name, c := range map[string]struct {
		text []byte
		want []string
	}{
		"unsigned":     {bundleOf(t, signedSite("7"), nil), []string{"bundle.tar.gz", "not signed", "policy sign"}},
		"another key":  {bundleOf(t, signedSite("7"), other), []string{".signatures.json", "no accepted key", key.Key.ID()}},
		"another kind": {bundleOf(t, signedSite("7"), newSigner(t, "ed25519")), []string{"no accepted key", "EdDSA"}},
		"unsigned file": {changeBundle(t, good, func(all []source) []source {
			return append(all, source{"site/net/more.rego", []byte("package site.net")})
		}), []string{"site/net/more.rego", "not part of what was signed"}},
		"unsigned prose":     {changeBundle(t, good, func(all []source) []source { return append(all, source{"README.md", nil}) }), []string{"README.md", "not part of what was signed"}},
		"unsigned test":      {changeBundle(t, good, func(all []source) []source { return append(all, source{"site/a_test.rego", nil}) }), []string{"site/a_test.rego", "not part of what was signed"}},
		"unsigned hidden":    {changeBundle(t, good, func(all []source) []source { return append(all, source{".x", nil}) }), []string{".x", "not part of what was signed"}},
		"second signature":   {changeBundle(t, good, func(all []source) []source { return append(all, source{"a/.signatures.json", []byte("{}")}) }), []string{"a/.signatures.json"}},
		"two signatures":     {changeBundle(t, good, twoInOne), []string{"2 signatures"}},
		"file missing":       {changeBundle(t, good, func(all []source) []source { return all[:len(all)-1] }), []string{"site/net/net.rego", "is missing"}},
		"rule changed":       {changeBundle(t, good, replace("site/net/net.rego", "package site.net\n")), []string{"site/net/net.rego", "not as it was signed"}},
		"data changed":       {changeBundle(t, good, replace("data.yaml", "config: {}\n")), []string{"data.yaml", "not as it was signed"}},
		"manifest changed":   {changeBundle(t, good, replace(".manifest", `{"metadata": {"sequence": 99}}`)), []string{".manifest", "not as it was signed"}},
		"manifest two-faced": {changeBundle(t, good, replace(".manifest", `{"revision": "x", "revision": "r7"}`)), []string{".manifest:1", "repeated"}},
		"no token":           {changeBundle(t, good, replace(signaturesName, `{"signatures": ["x"]}`)), []string{signaturesName, "no token"}},
		"no algorithm":       {changeBundle(t, good, replace(signaturesName, `{"signatures": ["eyJhbGciOiJub25lIn0.e30."]}`)), []string{"none", "no accepted key"}},
		"plugin":             {changeBundle(t, good, replace(signaturesName, `{"signatures": ["x"], "plugin": "p"}`)), []string{"plugin"}},
		"other payload":      {changeBundle(t, good, replace(signaturesName, resigned(t, key, func(_, claims map[string]any) { claims["files"] = nil }, true))), []string{"no accepted key"}},
		"nothing signed":     {changeBundle(t, good, replace(signaturesName, resigned(t, key, func(_, claims map[string]any) { claims["files"] = nil }, false))), []string{"not part of what was signed"}},
		"a file twice": {changeBundle(t, good, replace(signaturesName, resigned(t, key, func(_, claims map[string]any) {
			claims["files"] = append(claims["files"].([]any), claims["files"].([]any)...)
		}, false))), []string{"lists", "twice"}},
		"a scope":       {changeBundle(t, good, replace(signaturesName, resigned(t, key, func(_, claims map[string]any) { claims["scope"] = "write" }, false))), []string{"scope"}},
		"an extension":  {changeBundle(t, good, replace(signaturesName, resigned(t, key, func(header, _ map[string]any) { header["crit"] = []string{"b64"} }, false))), []string{"crit"}},
		"a weak digest": {changeBundle(t, good, replace(signaturesName, resigned(t, key, func(_, claims map[string]any) { claims["files"].([]any)[0].(map[string]any)["algorithm"] = "MD5" }, false))), []string{"MD5"}},
		"shared secret": {changeBundle(t, good, replace(signaturesName, `{"signatures": ["eyJhbGciOiJIUzI1NiJ9.e30.eA"]}`)), []string{"HS256", "no accepted key"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(context.Background(), Options{Path: bundleFile(t, c.text), Keys: []*Key{key.Key}, Marks: newMarks(), Deadline: patience})
			got, _ := code.Of(err)
			require.Equal(t, code.PolicyInvalid, got, "%v", err)
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
	_, err := Load(context.Background(), Options{Path: writeSite(t, signedSite("7")), Keys: []*Key{key.Key}, Marks: newMarks()})
	require.ErrorContains(t, err, "only signed bundles")
	_, err = Load(context.Background(), Options{Path: bundleFile(t, good), Keys: []*Key{key.Key}})
	require.ErrorContains(t, err, "Options.Marks")
	_, err = Sign(context.Background(), bundleOf(t, files{"data.yaml": "config: {}"}, nil), key)
	require.ErrorContains(t, err, "--sequence")
}

func TestSequenceNeverGoesBack(t *testing.T) {
	key, other := newSigner(t, "p256"), newSigner(t, "ed25519")
	marks := newMarks()
	load := func(f files, k *SigningKey) (*Engine, error) {
		return Load(context.Background(), Options{
			Path: bundleFile(t, bundleOf(t, f, k)), Keys: []*Key{key.Key, other.Key}, Marks: marks, Deadline: patience})
	}
	e, err := load(signedSite("7"), key)
	require.NoError(t, err)
	require.Contains(t, e.Warnings()[0].Message, "first bundle")
	e, err = load(signedSite("7"), key)
	require.NoError(t, err)
	require.Empty(t, e.Warnings())

	same := signedSite("7")
	same["data.yaml"] = "config: {}\n"
	_, err = load(same, key)
	require.ErrorContains(t, err, "with other content")
	_, err = load(signedSite("9"), key)
	require.NoError(t, err)
	_, err = load(signedSite("7"), key)
	require.ErrorContains(t, err, ".manifest: metadata.sequence: 7 is older than 9")
	broken := signedSite("11")
	_, err = Load(context.Background(), Options{Path: bundleFile(t, bundleOf(t, broken, key)), Keys: []*Key{key.Key}, Marks: marks, Mode: "off"})
	require.Error(t, err, "a bundle that does not load leaves no mark")
	_, err = load(signedSite("10"), key)
	require.NoError(t, err)

	_, err = load(signedSite("1"), other)
	require.NoError(t, err, "each key has numbers of its own")
	named := signedSite("1")
	named[".manifest"] = `{"metadata": {"sequence": 1, "name": "edge"}}`
	_, err = load(named, key)
	require.NoError(t, err, "and so has each name")
	unnumbered := files{"data.yaml": "config: {}\n"}
	p, err := Pack(context.Background(), writeSite(t, unnumbered), PackOptions{})
	require.NoError(t, err)
	all, err := unpack(p.Bundle)
	require.NoError(t, err)
	signature, err := sign(all, key)
	require.NoError(t, err)
	text, err := write(append(all, signature))
	require.NoError(t, err)
	_, err = Load(context.Background(), Options{Path: bundleFile(t, text), Keys: []*Key{key.Key}, Marks: marks})
	require.ErrorContains(t, err, "needs metadata.sequence")
}

func TestHostileArchives(t *testing.T) {
	many := make([]entry, maxSiteFiles+1)
	for i := range many {
		many[i] = entry{name: "a", kind: tar.TypeDir}
	}
	for name, c := range map[string]struct {
		text []byte
		want string
	}{
		"no archive":        {[]byte("words"), "neither a directory nor a bundle"},
		"nothing":           {nil, "neither a directory nor a bundle"},
		"cut off":           {bundleOf(t, signedSite("7"), nil)[:200], "EOF"},
		"link":              {archive(t, entry{"site/a.rego", "/etc/passwd", tar.TypeSymlink}), "no regular file"},
		"hard link":         {archive(t, entry{"site/a.rego", "data.yaml", tar.TypeLink}), "no regular file"},
		"device":            {archive(t, entry{"site/a.rego", "", tar.TypeChar}), "no regular file"},
		"way out":           {archive(t, entry{name: "../data.yaml"}), "cannot stand in a bundle"},
		"way out below":     {archive(t, entry{name: "site/../../data.yaml"}), "cannot stand in a bundle"},
		"two slashes":       {archive(t, entry{name: "//data.yaml"}), "cannot stand in a bundle"},
		"line end":          {archive(t, entry{name: "site/a\n.rego"}), "cannot stand in a bundle"},
		"twice":             {archive(t, entry{name: "data.yaml", text: "{}"}, entry{name: "/data.yaml", text: "{}"}), "data.yaml: is there twice"},
		"too many":          {archive(t, many...), "more than 4096"},
		"rule too large":    {archive(t, entry{name: "site/a/a.rego", text: strings.Repeat(" ", maxModuleBytes+1)}), "site/a/a.rego: is larger"},
		"delta":             {archive(t, entry{name: "patch.json", text: "{}"}), "patch.json: is not read"},
		"wasm":              {archive(t, entry{name: "policy.wasm"}), "policy.wasm: is not read"},
		"manifest as proto": {archive(t, entry{name: ".manifest.pb"}), ".manifest.pb: is not read"},
		"nested manifest":   {archive(t, entry{name: "site/.manifest", text: "{}"}), "site/.manifest"},
		"OPA's open roots":  {archive(t, entry{name: ".manifest", text: `{"roots": [""]}`}), `.manifest: the root "" is not a site's`},
		"roots too narrow":  {archive(t, entry{name: ".manifest", text: `{"roots": ["site"]}`}, entry{name: "data.yaml", text: "config: {}"}), "which roots leaves out"},
		"old Rego":          {archive(t, entry{name: ".manifest", text: `{"rego_version": 0}`}), ".manifest:1"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(context.Background(), Options{Path: bundleFile(t, c.text), Deadline: patience})
			got, _ := code.Of(err)
			require.Equal(t, code.PolicyInvalid, got, "%v", err)
			require.ErrorContains(t, err, c.want)
		})
	}
}

// A gibibyte is refused within bounded memory, stored or compressed.
func TestGigabyteBundles(t *testing.T) {
	const size = 1 << 30
	sparse := filepath.Join(t.TempDir(), "bundle.tar.gz")
	require.NoError(t, os.WriteFile(sparse, nil, 0o600))
	require.NoError(t, os.Truncate(sparse, size))
	bomb := func(entries, each int64) []byte {
		var out bytes.Buffer
		zw, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
		require.NoError(t, err)
		tw := tar.NewWriter(zw)
		zeros := make([]byte, 1<<20)
		for i := range entries {
			require.NoError(t, tw.WriteHeader(&tar.Header{Name: strings.Repeat("a", int(i)+1) + ".md", Typeflag: tar.TypeReg, Mode: 0o600, Size: each}))
			for n := int64(0); n < each; n += int64(len(zeros)) {
				_, err := tw.Write(zeros)
				require.NoError(t, err)
			}
		}
		require.NoError(t, zw.Close())
		return out.Bytes()
	}
	for _, path := range []string{sparse, bundleFile(t, bomb(1, size)), bundleFile(t, bomb(200, 1<<20))} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Load(context.Background(), Options{Path: path, Deadline: patience})
		runtime.ReadMemStats(&after)
		require.ErrorContains(t, err, "large")
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(5*maxContentBytes))
		require.Less(t, after.HeapInuse, uint64(4*maxContentBytes))
	}
}

func TestKeys(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err == nil {
		der, err := x509.MarshalPKIXPublicKey(&small.PublicKey)
		require.NoError(t, err)
		_, err = ParseKey(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
		require.ErrorContains(t, err, "too weak")
	}
	key := newSigner(t, "p256")
	again, err := ParseKey([]byte(publicPEM(t, key.Key)))
	require.NoError(t, err)
	require.Equal(t, key.Key, again)
	for text, want := range map[string]string{
		privatePEM(t, key): "public key is needed", "words": "PEM", publicPEM(t, key.Key) + publicPEM(t, key.Key): "more than one",
		"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n": "asn1",
	} {
		_, err := ParseKey([]byte(text))
		require.ErrorContains(t, err, want)
	}
	_, err = ParseSigningKey([]byte(publicPEM(t, key.Key)))
	require.ErrorContains(t, err, "private key")
}
