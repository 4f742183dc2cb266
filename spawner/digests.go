package spawner

import (
	"context"

	"github.com/spawnward/spawnward/spawner/measure"
	"github.com/spawnward/spawnward/spawner/state"
)

// digests opens the cache in the state directory, or gives nil: whatever is
// wrong with it, files are read.
func (l *Local) digests(open func() (*state.Store, error)) *measure.Cache {
	if l.o.NoDigestCache {
		return nil
	}
	store, err := open()
	if err != nil {
		return nil
	}
	defer store.Close()
	return l.digestsIn(store)
}

func (l *Local) digestsIn(store *state.Store) *measure.Cache {
	if l.o.NoDigestCache {
		return nil
	}
	me, err := l.self()
	if err != nil {
		return nil
	}
	dir, err := store.Private("digests")
	if err != nil {
		return nil
	}
	return measure.OpenCache(dir, me.BootID)
}

// remember keeps the digests of an admitted binary. Those that cannot be kept are
// not missed.
func (l *Local) remember(t *measure.Target) {
	if !t.News() {
		return
	}
	cache := l.digests(l.openState)
	if cache == nil {
		return
	}
	_ = t.Remember(cache)
	_ = cache.Close()
}

// blake3 is the digest that a peer states instead of the SHA-256, or beside it.
func (l *Local) blake3(ctx context.Context, t *measure.Target) ([32]byte, error) {
	sum, err := t.BLAKE3(ctx)
	if err == nil {
		l.remember(t)
	}
	return sum, err
}
