package measure

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/endpoint"
	"github.com/spawnward/spawnward/spawner/private"
)

// BenchmarkMeasure opens, walks, looks at and hashes a program by its size, and
// takes the digest from the cache.
func BenchmarkMeasure(b *testing.B) {
	boot, err := endpoint.BootID()
	require.NoError(b, err)
	own, err := private.Open(ids(), b.TempDir(), "digests")
	require.NoError(b, err)
	cache := OpenCache(own, boot)
	defer cache.Close()
	for _, size := range []int64{1 << 10, 1 << 20, 64 << 20} {
		root := b.TempDir()
		path := filepath.Join(root, "program")
		require.NoError(b, os.WriteFile(path, append([]byte("\x7fELF"), make([]byte, size-4)...), 0o755))
		run := func(name string, limits Limits) {
			b.Run(fmt.Sprint(name, "/", size>>10, "KiB"), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					t, err := Measure(context.Background(), path, root, limits, ids())
					require.NoError(b, err)
					require.Equal(b, limits.Cache != nil, t.Cached)
					require.NoError(b, t.Close())
				}
			})
		}
		run("hashed", Limits{Bytes: 1 << 40})
		remember(b, path, root, cache)
		run("cached", Limits{Bytes: 1 << 40, Cache: cache})
	}
}

// remember measures until the cache keeps the digest, which it does of files
// that are older than a second.
func remember(b *testing.B, path, root string, cache *Cache) {
	require.Eventually(b, func() bool {
		st, err := os.Stat(path)
		return err == nil && time.Since(time.Unix(st.Sys().(*syscall.Stat_t).Ctim.Unix())) > time.Second
	}, 20*time.Second, 20*time.Millisecond)
	t, err := Measure(context.Background(), path, root, Limits{Bytes: 1 << 40, Cache: cache}, ids())
	require.NoError(b, err)
	require.NoError(b, t.Remember(cache))
	require.NoError(b, t.Close())
}
