package backend

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkIdentity is what a backend does before it listens: it reads itself,
// here the test's own binary.
func BenchmarkIdentity(b *testing.B) {
	st, err := os.Stat(selfExe)
	require.NoError(b, err)
	b.SetBytes(st.Size())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Identity(Given{Namespace: "n", Endpoint: "/e"}); err != nil {
			b.Fatal(err)
		}
	}
}
