package wasm

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/fswalk"
	"github.com/spawnward/spawnward/spawner/private"
)

// Cache keeps machine code that the [Compiler] has made of modules; its zero
// value keeps nothing. The code comes from a worker that has compiled the module
// and run nothing of it, and whoever can write it decides what a hook does: its
// directory is private to the effective user (package private), and each entry
// carries a checksum and the digest of its module, so that a damaged or misplaced
// one is made anew. It is handed to the worker through its pipe. Linux only.
type Cache struct {
	parent string
	names  []string
}

// CacheAt keeps code in parent/names[0]/names[1]/…, where the named components
// are the cache's own.
func CacheAt(parent string, names ...string) Cache { return Cache{parent, names} }

const (
	entryMagic = "spawnward hook code 1\n"
	maxEntry   = 128 << 20
	maxEntries = 32 // more are all dropped: they are made anew
)

// open gives nil where the code cannot be kept; only a directory that somebody
// else could change is an error.
func (c Cache) open() (*private.Dir, error) {
	if c.parent == "" {
		return nil, nil
	}
	dir, err := private.Open(fswalk.NewIdentities(os.Geteuid()), c.parent, c.names...)
	if got, _ := code.Of(err); err != nil && got != code.DirectoryUnsafe {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open the cache of compiled hooks: %w", err)
	}
	return dir, nil
}

// entryName is a file for what makes the same code of the module with a digest.
func entryName(digest string) string {
	sum := sha256.Sum256(fmt.Appendln(nil, digest, runtime.Version(), runtime.GOARCH, engineVersion()))
	return hex.EncodeToString(sum[:])
}

func engineVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if d.Path == "github.com/tetratelabs/wazero" {
				return d.Version + d.Sum
			}
		}
	}
	return ""
}

// compiled gives the code that dir keeps of the module with a digest, or nil.
func compiled(dir *private.Dir, digest string) []byte {
	data, err := dir.Read(entryName(digest), maxEntry)
	if err != nil {
		return nil
	}
	own, ok := bytes.CutPrefix(data, entryHead(digest, nil))
	if !ok || len(own) < crc32.Size || !bytes.HasPrefix(data, entryHead(digest, own[crc32.Size:])) {
		return nil
	}
	return own[crc32.Size:]
}

// entryHead stands before code: what it is, of which module, and its checksum
// unless there is no code yet. A digest would say no more: who can write the file
// could write that too, which is why the directory is private.
func entryHead(digest string, own []byte) []byte {
	head := []byte(entryMagic + digest)
	if own == nil {
		return head
	}
	return binary.BigEndian.AppendUint32(head, crc32.Checksum(own, crc32.MakeTable(crc32.Castagnoli)))
}

// keep stores the code of the module with a digest.
func keep(dir *private.Dir, digest string, own []byte) error {
	names, err := dir.Names()
	if err != nil {
		return err
	}
	if len(names) >= maxEntries {
		for _, name := range names {
			err = errors.Join(err, dir.Remove(name))
		}
	}
	return errors.Join(err, dir.Replace(entryName(digest), append(entryHead(digest, own), own...)))
}
