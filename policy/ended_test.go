package policy

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/code"
)

// A process that has run for long decides nothing by a bundle that has ended.
func TestBundleEndsWhileItIsLoaded(t *testing.T) {
	end := time.Now().Add(24 * time.Hour).Truncate(time.Second)
	dir := writeSite(t, files{".manifest": `{"metadata": {"not_after": "` + end.UTC().Format(time.RFC3339) + `"}}`, "data.yaml": "config: {}\n"})
	e, err := Load(t.Context(), Options{Path: dir, Deadline: patience})
	require.NoError(t, err)
	in := goodInput()
	in.NowNS = end.UnixNano()
	d, err := e.Decide(t.Context(), in)
	require.NoError(t, err)
	require.True(t, d.Allow)
	in.NowNS++
	d, err = e.Decide(t.Context(), in)
	require.ErrorContains(t, err, "not_after")
	c, _ := code.Of(err)
	require.Equal(t, code.PolicyInvalid, c)
	require.False(t, d.Allow)
}

func TestKeysNeedABundle(t *testing.T) {
	_, err := Load(t.Context(), Options{Keys: []*Key{{}}, Marks: NewMarkDir(nil)})
	require.ErrorContains(t, err, "no bundle is named")
}
