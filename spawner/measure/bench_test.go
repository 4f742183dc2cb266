package measure

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/fswalk"
	"github.com/spawnward/spawnward/spawner/private"
)

// sized makes a file of a mebibyte's worth of different bytes, repeated.
func sized(b *testing.B, size int64) *os.File {
	b.Helper()
	pattern := make([]byte, 1<<20)
	for i := range pattern {
		pattern[i] = byte(i * 2654435761 >> 13)
	}
	f, err := os.OpenFile(filepath.Join(b.TempDir(), "file"), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o755)
	require.NoError(b, err)
	b.Cleanup(func() { f.Close() })
	for left := size; left > 0; left -= int64(len(pattern)) {
		_, err := f.Write(pattern[:min(left, int64(len(pattern)))])
		require.NoError(b, err)
	}
	return f
}

// Hashing by size of the file, in the page cache. The control is the same
// algorithm over 16 KiB that stay in the processor's cache, as openssl speed
// -evp sha256 -bytes 16384 measures it; what is missing to it is reading.
func BenchmarkSHA256(b *testing.B) {
	b.Run("control", func(b *testing.B) {
		block, h := make([]byte, 16<<10), sha256.New()
		b.SetBytes(int64(len(block)))
		for b.Loop() {
			h.Write(block)
		}
	})
	for _, size := range []int64{1 << 10, 64 << 10, 1 << 20, 16 << 20, 64 << 20} {
		b.Run(fmt.Sprint(size>>10, "KiB"), func(b *testing.B) {
			f := sized(b, size)
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

// Everything that is measured of a binary: the walks, the facts, the lease and
// the digest, which the cache knows or not.
func BenchmarkMeasure(b *testing.B) {
	const size = 16 << 20
	f := sized(b, size)
	dir := filepath.Join(b.TempDir(), "digests")
	ids := fswalk.NewIdentities(os.Geteuid())
	opened, err := private.Open(ids, filepath.Dir(dir), filepath.Base(dir))
	require.NoError(b, err)
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	require.NoError(b, err)
	cache := OpenCache(opened, string(boot[:len(boot)-1]))
	b.Cleanup(func() { require.NoError(b, cache.Close()) })
	limits := Limits{Bytes: size, Cache: cache}
	name := f.Name()
	require.NoError(b, f.Close())
	for until := time.Now().Add(5 * time.Second); ; {
		t, err := Measure(b.Context(), name, filepath.Dir(name), limits, ids)
		require.NoError(b, err)
		require.NoError(b, t.Remember(cache))
		require.NoError(b, t.Close())
		if t.Cached {
			break
		}
		require.True(b, time.Now().Before(until), "the digest is never kept here")
	}
	for _, c := range []struct {
		name   string
		cached bool
		limits Limits
	}{
		{"cached", true, limits},
		{"hashed", false, Limits{Bytes: size}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				t, err := Measure(b.Context(), name, filepath.Dir(name), c.limits, fswalk.NewIdentities(os.Geteuid()))
				if err != nil || t.Cached != c.cached || !t.Hashed {
					b.Fatal(err, t.Cached)
				}
				if err := t.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("remember", func(b *testing.B) {
		t, err := Measure(b.Context(), name, filepath.Dir(name), Limits{Bytes: size}, ids)
		require.NoError(b, err)
		defer t.Close()
		b.ReportAllocs()
		for b.Loop() {
			if err := t.Remember(cache); err != nil {
				b.Fatal(err)
			}
		}
	})
}
