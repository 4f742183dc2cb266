package policy

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/fswalk"
	"github.com/spawnward/spawnward/spawner/private"
)

func markDir(t *testing.T) (*MarkDir, string) {
	t.Helper()
	dir, err := private.Open(fswalk.NewIdentities(os.Geteuid()), t.TempDir(), "bundles")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, dir.Close()) })
	return NewMarkDir(dir), dir.Path()
}

func TestMarksOnDisk(t *testing.T) {
	m, dir := markDir(t)
	_, found, err := m.Newest("sha256:ab", "site")
	require.NoError(t, err)
	require.False(t, found)
	for _, n := range []int64{9, 10, 7, 1 << 62} {
		require.NoError(t, m.Raise("sha256:ab", "site", Mark{n, "c"}))
		require.NoError(t, m.Raise("sha256:ab", "site-2", Mark{1, "d"}))
	}
	mark, found, err := m.Newest("sha256:ab", "site")
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, Mark{1 << 62, "c"}, mark)
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 2)
	info, err := files[1].Info()
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	require.Error(t, m.Raise("sha256:ab", "site", Mark{0, "c"}))

	require.NoError(t, os.WriteFile(filepath.Join(dir, files[1].Name()), []byte(`{"sequence": 1}`), 0o600))
	_, _, err = m.Newest("sha256:ab", "site")
	require.ErrorContains(t, err, "damaged")
}

// Whoever looks never sees a mark that is older than one that was kept.
func TestMarksRise(t *testing.T) {
	m, _ := markDir(t)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 40 {
				own := int64(1 + i*4 + w)
				if err := m.Raise("sha256:ab", "site", Mark{own, "c"}); err != nil {
					t.Error(err)
					return
				}
				mark, found, err := m.Newest("sha256:ab", "site")
				if err != nil || !found || mark.Sequence < own {
					t.Error(fmt.Errorf("after %d: %v %t %w", own, mark, found, err))
					return
				}
			}
		})
	}
	wg.Wait()
}
