package state

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/fswalk"
)

// BenchmarkStore does to the records what one launch does, by the number of
// records of other backends.
func BenchmarkStore(b *testing.B) {
	for _, n := range []int{0, 1000} {
		s, err := Open(fswalk.NewIdentities(os.Geteuid()), b.TempDir(), "spawnward", userHash)
		require.NoError(b, err)
		for i := range n {
			r := example("b", fmt.Sprint("other", i), "1.0.0")
			r.Phase, r.StartTicks, r.Identity = Intent, 0, nil
			require.NoError(b, s.Note(r))
		}
		r, begun := example("a", "web", "1.0.0"), intent("a")
		for _, c := range []struct {
			name string
			do   func() error
		}{
			{"note", func() error { return s.Note(begun) }},
			{"put", func() error { return s.Put(r) }},
			{"sweep", func() error { return s.Sweep("web", "1.0.0") }},
			{"list", func() error {
				_, bad := s.List("web", "1.0.0")
				return errors.Join(bad...)
			}},
		} {
			b.Run(fmt.Sprint(c.name, "/beside-", n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					require.NoError(b, c.do())
				}
			})
		}
		require.NoError(b, s.Close())
	}
}
