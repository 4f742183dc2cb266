package policy

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
)

// generationBundle denies with its own number, in rules and in data alike.
func generationBundle(t testing.TB, n int) []byte {
	t.Helper()
	number := strconv.Itoa(n)
	out, err := write([]source{
		{"site/net/net.rego", []byte("package site.net\n\nimport rego.v2\n\n# METADATA\n# custom: {code: site_" + number + "}\n" +
			`deny contains {"code": "site_` + number + `", "message": data.config.defaults.env.set.N}` + "\n")},
		{"data.yaml", []byte("config: {defaults: {env: {set: {N: \"" + number + "\"}}}}\n")},
		{".manifest", []byte(`{"revision": "` + number + `"}`)},
	})
	require.NoError(t, err)
	return out
}

// brokenBundles do not load, each in its own way.
func brokenBundles(t testing.TB) [][]byte {
	t.Helper()
	good := generationBundle(t, 0)
	return [][]byte{
		good[:len(good)/2], nil, []byte("words"), bytes.Replace(good, good[30:40], make([]byte, 10), 1),
		archive(t, entry{name: "data.yaml", text: "confg: {}"}), archive(t, entry{name: "site/a/a.rego", text: "package site.a\n\ndenny := 1"}),
		archive(t, entry{name: "site/a/a.rego", text: "package site.a\n\nimport rego.v2\n\ndeny contains 1"}),
		archive(t, entry{name: ".manifest", text: `{"metadata": {"not_after": "2020-01-01T00:00:00Z"}}`}),
	}
}

// While a policy is reloaded, a third of the time a broken one, every decision
// belongs to one whole generation. SPAWNWARD_RELOADS is the number of reloads.
func TestReloadUnderLoad(t *testing.T) {
	reloads := 60
	if n, err := strconv.Atoi(os.Getenv("SPAWNWARD_RELOADS")); err == nil {
		reloads = n
	}
	path := filepath.Join(t.TempDir(), "bundle.tar.gz")
	put := func(text []byte) {
		require.NoError(t, os.WriteFile(path+".new", text, 0o600))
		require.NoError(t, os.Rename(path+".new", path))
	}
	put(generationBundle(t, 0))
	m, err := NewManager(context.Background(), Options{Path: path, Deadline: patience})
	require.NoError(t, err)

	var ids sync.Map // of the generation, by its number
	ids.Store("0", m.Current().ID().ID)
	var done atomic.Bool
	var decisions atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for last := 0; !done.Load(); {
				number, err := ofOneGeneration(m, &ids)
				if err != nil || number < last {
					t.Error(err, number, last)
					return
				}
				last = number
				decisions.Add(1)
			}
		})
	}
	broken := brokenBundles(t)
	var first, last runtime.MemStats
	for i := 1; i <= reloads; i++ {
		if i%3 == 0 {
			put(broken[i/3%len(broken)])
			before := m.Current()
			err := m.Reload(context.Background())
			got, _ := code.Of(err)
			require.Equal(t, code.PolicyInvalid, got, "%v", err)
			require.Same(t, before, m.Current())
		} else {
			put(generationBundle(t, i))
			// The id is known before anybody can decide by it.
			want, err := Load(context.Background(), Options{Path: path, Deadline: patience})
			require.NoError(t, err)
			ids.Store(strconv.Itoa(i), want.ID().ID)
			require.NoError(t, m.Reload(context.Background()))
			require.Equal(t, want.ID(), m.Current().ID())
		}
		if i == reloads/3 {
			runtime.GC()
			runtime.ReadMemStats(&first)
		}
	}
	done.Store(true)
	wg.Wait()
	runtime.GC()
	runtime.ReadMemStats(&last)
	t.Logf("%d decisions during %d reloads, heap %d KiB after a third, %d KiB at the end",
		decisions.Load(), reloads, first.HeapAlloc>>10, last.HeapAlloc>>10)
	require.Positive(t, decisions.Load())
	require.Less(t, last.HeapAlloc, first.HeapAlloc+8<<20)
}

// ofOneGeneration asks for settings and a decision, and demands that everything
// in them is of the same generation; it gives its number.
func ofOneGeneration(m *Manager, ids *sync.Map) (int, error) {
	g := m.Generation()
	number := g.Settings("redis").Env["N"]
	d, err := g.Decide(context.Background(), goodInput())
	if err != nil {
		return 0, err
	}
	id, _ := ids.Load(number)
	if d.Allow || len(d.Violations) != 1 || string(d.Violations[0].Code) != "site_"+number || d.Violations[0].Message != number ||
		d.Policy.Revision != number || d.Policy.ID != id {
		return 0, fmt.Errorf("settings of %s, decision %+v", number, d)
	}
	return strconv.Atoi(number)
}

func TestManagerKeepsWhatIsThere(t *testing.T) {
	var _ admission.Decider = &Manager{}
	var _ admission.Generations = &Manager{}
	path := bundleFile(t, []byte("words"))
	m, err := NewManager(context.Background(), Options{Path: path})
	require.Error(t, err)
	require.Nil(t, m)
	require.NoError(t, os.WriteFile(path, generationBundle(t, 1), 0o600))
	m, err = NewManager(context.Background(), Options{Path: path, Deadline: patience})
	require.NoError(t, err)
	before := m.Current()
	require.NoError(t, m.Reload(context.Background()))
	require.Same(t, before, m.Current(), "nothing changed")
	require.NoError(t, os.Remove(path))
	require.Error(t, m.Reload(context.Background()))
	d, err := m.Decide(context.Background(), goodInput())
	require.NoError(t, err)
	require.Equal(t, "1", d.Policy.Revision)
	require.Equal(t, "1", m.Settings("redis").Env["N"])

	// A signed one never goes back either.
	key, marks := newSigner(t, "ed25519"), newMarks()
	require.NoError(t, os.WriteFile(path, bundleOf(t, signedSite("5"), key), 0o600))
	m, err = NewManager(context.Background(), Options{Path: path, Keys: []*Key{key.Key}, Marks: marks, Deadline: patience})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, bundleOf(t, signedSite("4"), key), 0o600))
	require.ErrorContains(t, m.Reload(context.Background()), "4 is older than 5")
	require.Equal(t, int64(5), m.Current().ID().Sequence)
}
