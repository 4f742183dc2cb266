package measure

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Hashing by size of the file, in the page cache. Beside it stands
// openssl speed -evp sha256 -bytes 16384.
func BenchmarkSHA256(b *testing.B) {
	for _, size := range []int64{1 << 10, 1 << 20, 64 << 20} {
		b.Run(fmt.Sprint(size>>10, "KiB"), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "file")
			require.NoError(b, os.WriteFile(path, make([]byte, size), 0o600))
			f, err := os.Open(path)
			require.NoError(b, err)
			defer f.Close()
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := SHA256(context.Background(), f, size); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
