package measure

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spawnward/spawnward/spawner/private"
)

// Cache remembers digests of files, so that a large program is not read again
// for each launch. It lives in a private directory of the user.
//
// A digest is taken from it only while a lease shows that nobody has the file
// open for writing or mapped, only of a file of the user or root that others
// cannot write and that is older than a second, only on file systems that move
// the change time with every write, and only when everything in [cacheKey] is as
// it was. What is compared in the stop is not spared.
//
// What it trusts: programs of the same user can write its entries, and with a
// file of their own also reach ioctls that move blocks without a time. They
// cannot run other code under a digest without it; with it they can. Where that
// matters, switch it off.
type Cache struct {
	dir  *private.Dir
	boot string
}

// OpenCache takes over a directory; boot names this boot of the machine.
func OpenCache(dir *private.Dir, boot string) *Cache { return &Cache{dir: dir, boot: boot} }

// Close releases the directory.
func (c *Cache) Close() error { return c.dir.Close() }

// cacheKey is everything of a file that changes with its content.
type cacheKey struct {
	BootID  string `json:"boot_id"`
	FSMagic int64  `json:"fs_magic"`
	Mount   uint64 `json:"mount"` // unique in this boot, where the kernel has such ids
	Device  int64  `json:"device"`
	Inode   int64  `json:"inode"`
	Size    int64  `json:"size"`
	MtimeNS int64  `json:"mtime_ns"`
	CtimeNS int64  `json:"ctime_ns"`
}

// name is that of the file's entry: a file that has changed replaces its own.
func (k *cacheKey) name() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %d %d %d", k.FSMagic, k.Mount, k.Device, k.Inode))
	return hex.EncodeToString(sum[:16])
}

// cacheEntry is one file of the cache.
type cacheEntry struct {
	cacheKey
	// OffsetNS is by how much the clock was ahead of the time since boot. It
	// shrinks when the clock is set back, and change times then happen again.
	OffsetNS int64  `json:"offset_ns"`
	SHA256   string `json:"sha256"`
	BLAKE3   string `json:"blake3,omitempty"` // once a peer stated one
}

// digests are those of one file.
type digests struct {
	sha256 [32]byte
	blake3 *[32]byte // nil when nobody has asked for it
}

// maxCacheEntry bounds an entry, in bytes; cacheEntries bounds their number.
const (
	maxCacheEntry = 1 << 10
	cacheEntries  = 512
)

// setBack is how much the clock may have been set back without a doubt: less
// than the age that a file must have.
const setBack = 500_000_000

// decodeEntry reads an entry strictly: what a launch writes, and nothing else.
func decodeEntry(data []byte) (e cacheEntry, d digests, err error) {
	if err := json.Unmarshal(data, &e); err != nil {
		return e, d, err
	}
	same, err := json.Marshal(e)
	if err != nil {
		return e, d, err
	}
	if !bytes.Equal(data, same) {
		return e, d, errors.New("it is not written as a launch writes it")
	}
	if d.sha256, err = decodeDigest(e.SHA256); err == nil && e.BLAKE3 != "" {
		d.blake3 = new([32]byte)
		*d.blake3, err = decodeDigest(e.BLAKE3)
	}
	return e, d, err
}

func decodeDigest(text string) (sum [32]byte, err error) {
	raw, err := hex.DecodeString(text)
	if err == nil && (len(raw) != len(sum) || hex.EncodeToString(raw) != text) {
		err = errors.New("its digest is none")
	}
	copy(sum[:], raw)
	return sum, err
}

// load finds the digests of a file; whatever is wrong with an entry, it is as if
// there were none.
func (c *Cache) load(k *cacheKey) (d digests, ok bool) {
	if c == nil || k == nil || k.BootID != c.boot {
		return d, false
	}
	data, err := c.dir.Read(k.name(), maxCacheEntry)
	if err != nil {
		return d, false
	}
	e, d, err := decodeEntry(data)
	now, clockErr := clockOffset()
	return d, err == nil && clockErr == nil && e.cacheKey == *k && e.OffsetNS-now < setBack
}

// recall takes the digests from the cache, if it knows the held file.
func (t *Target) recall(c *Cache) bool {
	d, ok := c.load(t.key)
	if ok {
		t.Digest, t.blake3 = d.sha256, d.blake3
	}
	t.Cached, t.news = ok, !ok
	return ok
}

// store keeps digests. Readers meet the old entry or the new one.
func (c *Cache) store(k *cacheKey, d digests) error {
	offset, err := clockOffset()
	if err != nil {
		return err
	}
	e := cacheEntry{cacheKey: *k, OffsetNS: offset, SHA256: hex.EncodeToString(d.sha256[:])}
	if d.blake3 != nil {
		e.BLAKE3 = hex.EncodeToString(d.blake3[:])
	}
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	names, err := c.dir.Names()
	if err != nil {
		return err
	}
	if len(names) >= cacheEntries {
		errs := []error{c.dir.Sweep()}
		for _, name := range names[:cacheEntries/2] { // any half: names are digests
			if !private.IsTemp(name) {
				errs = append(errs, c.dir.Drop(name))
			}
		}
		if err := errors.Join(errs...); err != nil {
			return err
		}
	}
	return c.dir.Replace(k.name(), data)
}

// News reports whether [Target.Remember] would have something to keep.
func (t *Target) News() bool { return t.Hashed && t.news && t.key != nil }

// Remember keeps the target's digests in the cache, if it does not have them,
// they were read from the file and may be kept. It was held when it was read;
// what is written to it later moves its change time away from the entry's.
func (t *Target) Remember(c *Cache) error {
	if !t.News() || t.key.BootID != c.boot {
		return nil
	}
	t.news = false
	return c.store(t.key, digests{t.Digest, t.blake3})
}
