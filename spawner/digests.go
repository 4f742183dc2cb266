package spawner

import (
	"github.com/spawnward/spawnward/spawner/endpoint"
	"github.com/spawnward/spawnward/spawner/measure"
	"github.com/spawnward/spawnward/spawner/state"
)

// digests opens the cache in the state directory, or gives nil: whatever is
// wrong with it, files are read.
func (l *Local) digests(open func() (*state.Store, error)) *measure.Cache {
	if l.o.NoDigestCache {
		return nil
	}
	boot, err := endpoint.BootID()
	if err != nil {
		return nil
	}
	store, err := open()
	if err != nil {
		return nil
	}
	defer store.Close()
	dir, err := store.Private("digests")
	if err != nil {
		return nil
	}
	return measure.OpenCache(dir, boot)
}

// remember keeps the digest of an admitted binary. One that cannot be kept is
// not missed.
func (a *attempt) remember() {
	cache := a.l.digests(a.l.openState)
	if cache == nil {
		return
	}
	_ = a.target.Remember(cache)
	_ = cache.Close()
}
