package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// writeKeys makes a key and writes both its halves.
func writeKeys(t *testing.T, private, public string) {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(private, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	der, err = x509.MarshalPKIXPublicKey(pub)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600))
}

// A flag may leave out pinned keys and never add one.
func TestFlagsOnlyTightenPinnedKeys(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"a", "b", "c"} {
		writeKeys(t, path(name), path(name+".pub"))
	}
	require.NoError(t, os.WriteFile(path("pinned"), []byte("verification_keys: ["+path("a.pub")+", "+path("b.pub")+"]\n"), 0o600))
	require.NoError(t, os.WriteFile(path("none"), []byte("{}\n"), 0o600))
	for name, c := range map[string]struct {
		pinned string
		flags  []string
		want   int
		says   string
	}{
		"pinned alone":     {"pinned", nil, 2, ""},
		"fewer":            {"pinned", []string{path("b.pub")}, 1, ""},
		"another":          {"pinned", []string{path("b.pub"), path("c.pub")}, 0, "a flag cannot add one"},
		"nothing pinned":   {"none", []string{path("c.pub")}, 1, ""},
		"none at all":      {"none", nil, 0, ""},
		"the private half": {"none", []string{path("c")}, 0, "public key is needed"},
		"no file":          {"none", []string{path("d")}, 0, "d: "},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			a := newApp(nil, &out, &errs)
			a.trustedUID, a.pinnedConfig, a.flags.keys = os.Geteuid(), path(c.pinned), c.flags
			pinned, err := a.pinned()
			require.NoError(t, err)
			keys, err := a.verificationKeys(pinned)
			require.Len(t, keys, c.want)
			if c.says != "" {
				require.ErrorContains(t, err, c.says)
				return
			}
			require.NoError(t, err)
		})
	}
}
