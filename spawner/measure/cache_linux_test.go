package measure

import (
	"context"
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"lukechampine.com/blake3"

	"github.com/spawnward/spawnward/spawner/endpoint"
	"github.com/spawnward/spawnward/spawner/fswalk"
	"github.com/spawnward/spawnward/spawner/private"
)

// cached is a program that is old enough, and a cache.
type cached struct {
	t      *testing.T
	ids    *fswalk.Identities
	cache  *Cache
	dir    string
	path   string
	digest [32]byte
}

func newCached(t *testing.T, below string) *cached {
	t.Helper()
	dir, err := os.MkdirTemp(below, "cached")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	c := &cached{t: t, ids: fswalk.NewIdentities(os.Geteuid()), dir: dir, path: filepath.Join(dir, "program")}
	boot, err := endpoint.BootID()
	require.NoError(t, err)
	own, err := private.Open(c.ids, t.TempDir(), "digests")
	require.NoError(t, err)
	c.cache = OpenCache(own, boot)
	t.Cleanup(func() { require.NoError(t, c.cache.Close()) })
	c.write(strings.Repeat("A", 8192))
	return c
}

func (c *cached) write(content string) {
	c.t.Helper()
	require.NoError(c.t, os.WriteFile(c.path, []byte(content), 0o755))
	c.digest = sha256.Sum256([]byte(content))
}

// aged waits until the file may be kept.
func (c *cached) aged() {
	c.t.Helper()
	require.Eventually(c.t, func() bool {
		st, err := os.Stat(c.path)
		return err == nil && time.Since(time.Unix(st.Sys().(*syscall.Stat_t).Ctim.Unix())) > time.Second
	}, 20*time.Second, 20*time.Millisecond)
}

// measured measures, keeps, and demands the true digest.
func (c *cached) measured() (hit bool) {
	c.t.Helper()
	m, err := Measure(context.Background(), c.path, c.dir, Limits{Bytes: 1 << 30, Cache: c.cache}, c.ids)
	require.NoError(c.t, err)
	defer m.Close()
	data, err := os.ReadFile(c.path)
	require.NoError(c.t, err)
	require.Equal(c.t, sha256.Sum256(data), m.Digest, "cached: %v", m.Cached)
	require.NoError(c.t, m.Remember(c.cache))
	return m.Cached
}

func cachePlaces(t *testing.T) map[string]string {
	places := map[string]string{}
	for _, dir := range []string{os.TempDir(), "/dev/shm"} {
		var fs unix.Statfs_t
		require.NoError(t, unix.Statfs(dir, &fs))
		if name, _ := fileSystem(int64(fs.Type)); timesMove(name) {
			places[name] = dir
		}
	}
	if len(places) == 0 {
		t.Skip("needs a temporary directory on ext4, or tmpfs with Linux 6.18")
	}
	return places
}

// rewrites change the content and keep the size; each must be noticed.
func rewrites() map[string]func(t *testing.T, path string) {
	evil := []byte(strings.Repeat("B", 8192))
	restored := func(t *testing.T, path string, change func()) {
		var before unix.Stat_t
		require.NoError(t, unix.Stat(path, &before))
		change()
		times := []unix.Timespec{before.Atim, before.Mtim}
		require.NoError(t, unix.UtimesNanoAt(unix.AT_FDCWD, path, times, 0))
	}
	store := func(t *testing.T, path string) {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		require.NoError(t, err)
		m, err := unix.Mmap(int(f.Fd()), 0, len(evil), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		copy(m, evil)
		require.NoError(t, unix.Munmap(m))
	}
	return map[string]func(*testing.T, string){
		"rewritten in place, times restored": func(t *testing.T, path string) {
			restored(t, path, func() { require.NoError(t, os.WriteFile(path, evil, 0o755)) })
		},
		"stored through a mapping":                 store,
		"stored through a mapping, times restored": func(t *testing.T, path string) { restored(t, path, func() { store(t, path) }) },
		"renamed over, times restored": func(t *testing.T, path string) {
			restored(t, path, func() {
				require.NoError(t, os.WriteFile(path+".new", evil, 0o755))
				require.NoError(t, os.Rename(path+".new", path))
			})
		},
		"exchanged, times restored": func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path+".new", evil, 0o755))
			restored(t, path, func() {
				require.NoError(t, unix.Renameat2(unix.AT_FDCWD, path+".new", unix.AT_FDCWD, path, unix.RENAME_EXCHANGE))
			})
		},
	}
}

func TestCacheHitsAndNoticesEveryWrite(t *testing.T) {
	for fs, dir := range cachePlaces(t) {
		for name, change := range rewrites() {
			t.Run(fs+"/"+name, func(t *testing.T) {
				t.Parallel()
				c := newCached(t, dir)
				require.False(t, c.measured())
				require.False(t, c.measured(), "a young file is not kept")
				c.aged()
				require.False(t, c.measured())
				for range 20 {
					require.True(t, c.measured())
				}
				change(t, c.path)
				require.False(t, c.measured(), "the young file")
				c.aged()
				require.False(t, c.measured(), "the changed file")
				require.True(t, c.measured())
			})
		}
	}
}

// Whoever has the file open for writing, or mapped, leaves no lease to be had:
// the file is read.
func TestCacheIsNotAskedWhileSomebodyWrites(t *testing.T) {
	for fs, dir := range cachePlaces(t) {
		t.Run(fs, func(t *testing.T) {
			c := newCached(t, dir)
			c.aged()
			require.False(t, c.measured())
			require.True(t, c.measured())
			f, err := os.OpenFile(c.path, os.O_RDWR, 0)
			require.NoError(t, err)
			require.False(t, c.measured(), "open for writing")
			m, err := unix.Mmap(int(f.Fd()), 0, 8192, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
			require.NoError(t, err)
			require.NoError(t, f.Close())
			require.False(t, c.measured(), "mapped, and closed")
			m[0] = 'X'
			require.False(t, c.measured(), "stored")
			require.NoError(t, unix.Munmap(m))
			require.False(t, c.measured(), "young")
		})
	}
}

// An entry that is broken, of another boot, or older than a clock that was set
// back, is none; the next measurement writes it anew.
func TestCacheBelievesNoOddEntry(t *testing.T) {
	var dir string
	for _, dir = range cachePlaces(t) {
	}
	c := newCached(t, dir)
	c.aged()
	c.measured()
	names, err := c.cache.dir.Names()
	require.NoError(t, err)
	require.Len(t, names, 1)
	good, err := c.cache.dir.Read(names[0], maxCacheEntry)
	require.NoError(t, err)
	entry, _, err := decodeEntry(good)
	require.NoError(t, err)
	rows := map[string]string{
		"empty": "", "cut": string(good[:len(good)/2]), "more": string(good) + "{}", "large": string(good) + strings.Repeat(" ", maxCacheEntry),
		"another boot": strings.Replace(string(good), entry.BootID, strings.Repeat("0", len(entry.BootID)), 1),
		"short digest": strings.Replace(string(good), entry.SHA256, entry.SHA256[2:], 1),
		"upper digest": strings.Replace(string(good), entry.SHA256, strings.ToUpper(entry.SHA256), 1),
		"short blake3": strings.Replace(string(good), `"}`, `","blake3":"00"}`, 1),
		"empty blake3": strings.Replace(string(good), `"}`, `","blake3":""}`, 1),
		"set back":     strings.Replace(string(good), `"offset_ns":`, `"offset_ns":9`, 1),
	}
	for name, content := range rows {
		require.NoError(t, c.cache.dir.Replace(names[0], []byte(content)))
		require.False(t, c.measured(), name)
		require.True(t, c.measured(), name)
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := newCached(t, os.TempDir())
	for i := range cacheEntries + 10 {
		require.NoError(t, c.cache.store(&cacheKey{BootID: c.cache.boot, Inode: int64(i)}, digests{sha256: c.digest}))
	}
	names, err := c.cache.dir.Names()
	require.NoError(t, err)
	require.LessOrEqual(t, len(names), cacheEntries)
	require.NotEmpty(t, names)
}

func TestCacheManyWriters(t *testing.T) {
	c := newCached(t, os.TempDir())
	key := &cacheKey{BootID: c.cache.boot, Inode: 1}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 50 {
				if err := c.cache.store(key, digests{sha256: [32]byte{byte(i), 7}}); err != nil {
					t.Error(err)
				}
				if d, ok := c.cache.load(key); !ok || d.sha256[1] != 7 {
					t.Errorf("a torn entry: %v %x", ok, d.sha256)
				}
			}
		})
	}
	wg.Wait()
}

// A bind mount is another way to the file: its digest is not taken over.
func TestCacheKnowsMounts(t *testing.T) {
	c := newCached(t, os.TempDir())
	f, err := os.Open(c.path)
	require.NoError(t, err)
	defer f.Close()
	id, err := mountID(int(f.Fd()))
	require.NoError(t, err)
	proc, err := os.Open("/proc/self/status")
	require.NoError(t, err)
	defer proc.Close()
	other, err := mountID(int(proc.Fd()))
	require.NoError(t, err)
	require.NotEqual(t, id, other)
	a, b := cacheKey{Mount: id}, cacheKey{Mount: other}
	require.NotEqual(t, a.name(), b.name())
}

// The second digest is read once, by the first who needs it, and kept only if
// nobody could write the file meanwhile.
func TestCacheKeepsTheSecondDigest(t *testing.T) {
	for fs, dir := range cachePlaces(t) {
		t.Run(fs, func(t *testing.T) {
			c := newCached(t, dir)
			c.aged()
			second := func() (fresh bool) {
				m, err := Measure(t.Context(), c.path, c.dir, Limits{Bytes: 1 << 30, Cache: c.cache}, c.ids)
				require.NoError(t, err)
				defer m.Close()
				m.Unlock() // as it is once it runs
				data, err := os.ReadFile(c.path)
				require.NoError(t, err)
				known := m.blake3 != nil
				for range 2 {
					sum, err := m.BLAKE3(t.Context())
					require.NoError(t, err)
					require.Equal(t, blake3.Sum256(data), sum)
				}
				require.NoError(t, m.Remember(c.cache))
				require.False(t, m.News())
				return !known
			}
			require.True(t, second())
			require.False(t, second())
			require.True(t, c.measured(), "the first is kept beside it")
			require.False(t, second())

			c.write(strings.Repeat("B", 8192))
			require.True(t, second(), "young")
			require.True(t, second(), "young")
			c.aged()
			f, err := os.OpenFile(c.path, os.O_RDWR, 0)
			require.NoError(t, err)
			require.True(t, second(), "open for writing")
			require.True(t, second(), "open for writing")
			require.NoError(t, f.Close())
			require.True(t, second())
			require.False(t, second())
		})
	}
}

// What is written between the measurement and the second digest is not kept
// under the key of the measured content.
func TestCacheKeepsNoSecondDigestOfAnotherContent(t *testing.T) {
	for fs, dir := range cachePlaces(t) {
		for name, change := range rewrites() {
			t.Run(fs+"/"+name, func(t *testing.T) {
				t.Parallel()
				c := newCached(t, dir)
				c.aged()
				m, err := Measure(t.Context(), c.path, c.dir, Limits{Bytes: 1 << 30, Cache: c.cache}, c.ids)
				require.NoError(t, err)
				defer m.Close()
				require.NoError(t, m.Remember(c.cache))
				m.Unlock()
				change(t, c.path)
				_, err = m.BLAKE3(t.Context())
				require.NoError(t, err)
				require.Nil(t, m.blake3)
				require.False(t, m.News())
			})
		}
	}
}

func FuzzCacheEntry(f *testing.F) {
	f.Add([]byte(`{"boot_id":"","fs_magic":0,"mount":0,"device":0,"inode":0,"size":0,"mtime_ns":0,"ctime_ns":0,"offset_ns":0,"sha256":""}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, d, err := decodeEntry(data)
		if err == nil && (len(e.SHA256) != 64 || d.sha256 == [32]byte{} && strings.Trim(e.SHA256, "0") != "" || (d.blake3 != nil) != (len(e.BLAKE3) == 64)) {
			t.Fatalf("%q was taken", data)
		}
	})
}
