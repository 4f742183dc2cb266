package measure

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/fswalk"
)

// hooked is a context that acts whenever it is asked, which hashing does before
// every chunk: what happens in there happens while the file is hashed.
type hooked struct {
	context.Context
	hook func()
}

func (h hooked) Err() error {
	h.hook()
	return h.Context.Err()
}

func TestFileThatChangesWhileItIsHashed(t *testing.T) {
	noLeak(t)
	// Until the change time moves, as it does once a tick before Linux 6.13.
	untilSeen := func(t *testing.T, path string, change func()) {
		var before, after unix.Stat_t
		require.NoError(t, unix.Stat(path, &before))
		for after = before; after.Ctim == before.Ctim; require.NoError(t, unix.Stat(path, &after)) {
			change()
		}
	}
	size := func(t *testing.T, path string) int64 {
		st, err := os.Stat(path)
		require.NoError(t, err)
		return st.Size()
	}
	for name, change := range map[string]func(t *testing.T, path string){
		"grows": func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, size(t, path)+1)) },
		"shrinks": func(t *testing.T, path string) {
			if size(t, path) < 2 { // what is empty does not shrink, and its times stay
				require.NoError(t, os.Truncate(path, 4*chunk))
			}
			require.NoError(t, os.Truncate(path, size(t, path)/2))
		},
		"is rewritten in place": func(t *testing.T, path string) {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			require.NoError(t, err)
			_, err = f.Write([]byte("E"))
			require.NoError(t, err)
			require.NoError(t, f.Close())
		},
		"is rewritten with its times restored": func(t *testing.T, path string) {
			st, err := os.Stat(path)
			require.NoError(t, err)
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			require.NoError(t, err)
			_, err = f.Write([]byte("E"))
			require.NoError(t, err)
			require.NoError(t, f.Close())
			require.NoError(t, os.Chtimes(path, st.ModTime(), st.ModTime()))
		},
		"changes its mode": func(t *testing.T, path string) { require.NoError(t, os.Chmod(path, 0o4755)) },
	} {
		for _, times := range []int{1, 1 << 30} {
			t.Run(name, func(t *testing.T) {
				dir := tree(t, "app/bin="+string(bytes.Repeat([]byte("x"), 4*chunk)))
				path, left := dir+"/app/bin", times
				var writers sync.WaitGroup
				defer writers.Wait()
				var done chan struct{}
				ctx := hooked{t.Context(), func() {
					if left--; left >= 0 {
						mine := make(chan struct{})
						done = mine
						writers.Go(func() { defer close(mine); untilSeen(t, path, func() { change(t, path) }) })
					}
					untilItWaits(t, path, done)
				}}
				target, err := Measure(ctx, path, dir+"/app", noLimit, ids())
				if times > 1 {
					var merr *Error
					require.ErrorAs(t, err, &merr)
					require.Equal(t, code.PathChanged, merr.Code())
					require.ErrorIs(t, err, fswalk.ErrChanged)
					require.ErrorContains(t, err, path)
					return
				}
				require.NoError(t, err, "one change is tried again")
				defer target.Close()
				if target.Offers(admission.Leased) != nil {
					// The writer came back while it was hashed again: what was measured
					// is whole, but may be the past already.
					return
				}
				text, err := os.ReadFile(path)
				require.NoError(t, err)
				require.Equal(t, sha256.Sum256(text), target.Digest)
				require.EqualValues(t, len(text), target.Binary.Size)
			})
		}
	}
}

// untilItWaits returns when done is closed, or when whoever would close it waits
// for the lease on the file: the writer cannot go on before its holder does.
func untilItWaits(t *testing.T, path string, done chan struct{}) {
	t.Helper()
	mine := fmt.Sprintf(":%d ", inode(t, path))
	for {
		select {
		case <-done:
			return
		default:
		}
		locks, err := os.ReadFile("/proc/locks")
		require.NoError(t, err)
		for line := range strings.Lines(string(locks)) {
			if strings.Contains(line, "BREAKING") && strings.Contains(line, mine) {
				return
			}
		}
	}
}

func TestCancelledWhileHashing(t *testing.T) {
	noLeak(t)
	dir := tree(t, "app/bin="+string(bytes.Repeat([]byte("x"), 4*chunk)))
	ctx, cancel := context.WithCancel(t.Context())
	asked := 0
	_, err := Measure(hooked{ctx, func() {
		if asked++; asked == 3 {
			cancel()
		}
	}}, dir+"/app/bin", dir+"/app", noLimit, ids())
	require.ErrorIs(t, err, context.Canceled)
	require.LessOrEqual(t, asked, 5, "it stops at once")
}

// The file is replaced after it was opened: the measured descriptor counts.
func TestRenamedOverWhileItIsHashed(t *testing.T) {
	noLeak(t)
	dir := tree(t, "app/bin=A", "evil=E")
	target, err := Measure(hooked{t.Context(), func() { _ = os.Rename(dir+"/evil", dir+"/app/bin") }}, dir+"/app/bin", dir+"/app", noLimit, ids())
	require.NoError(t, err)
	defer func() { require.NoError(t, target.Close()) }()
	text := make([]byte, 1)
	_, err = target.File.ReadAt(text, 0)
	require.NoError(t, err)
	require.Equal(t, sha256.Sum256(text), target.Digest)
	var st unix.Stat_t
	require.NoError(t, unix.Fstat(int(target.File.Fd()), &st))
	require.EqualValues(t, st.Ino, target.Binary.Inode)
}

// attack repeats act in another thread until the test ends.
func attack(t *testing.T, act func()) {
	t.Helper()
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for !stop.Load() {
			act()
		}
	})
	t.Cleanup(func() { stop.Store(true); wg.Wait() })
}

func inode(t *testing.T, path string) int64 {
	t.Helper()
	var st unix.Stat_t
	require.NoError(t, unix.Stat(path, &st))
	return int64(st.Ino)
}

const rounds = 200

// Whatever is swapped meanwhile, the facts and the digest belong together, and
// nothing outside the root counts as inside it.
func TestSwapsWhileMeasuring(t *testing.T) {
	exchange := func(a, b string) func() {
		return func() { _ = unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE) }
	}
	relink := func(link string, to ...string) func() {
		n := 0
		return func() {
			n++
			_ = os.Symlink(to[n%len(to)], link+".new")
			_ = os.Rename(link+".new", link)
		}
	}
	for name, c := range map[string]struct {
		binary, root string
		attack       func(dir string) func()
		rootIs       string // the root's inode does not change when set
	}{
		"the root itself":       {"good/bin", "good", func(d string) func() { return exchange(d+"/good", d+"/evil") }, ""},
		"a directory inside":    {"top/good/bin", "top", func(d string) func() { return exchange(d+"/top/good", d+"/evil") }, "top"},
		"the file":              {"good/bin", "good", func(d string) func() { return exchange(d+"/good/bin", d+"/evil/bin") }, "good"},
		"a link on the way":     {"link/bin", "good", func(d string) func() { return relink(d+"/link", "good", "evil") }, "good"},
		"the link to the root":  {"good/bin", "link", func(d string) func() { return relink(d+"/link", "good", "evil") }, ""},
		"a directory to a link": {"good/bin", "good", func(d string) func() { return exchange(d+"/good", d+"/link") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			noLeak(t)
			dir := tree(t, "good/bin=A", "evil/bin=E", "top/good/bin=A", "link=->evil")
			good := map[int64]bool{inode(t, dir+"/good/bin"): true, inode(t, dir+"/top/good/bin"): true}
			evil := inode(t, dir+"/evil/bin")
			holds := map[int64]int64{inode(t, dir+"/evil"): evil, inode(t, dir+"/good"): inode(t, dir+"/good/bin")}
			root := int64(0)
			if c.rootIs != "" {
				root = inode(t, dir+"/"+c.rootIs)
			}
			attack(t, c.attack(dir))
			measuredOnce := false
			for range rounds {
				target, err := Measure(t.Context(), dir+"/"+c.binary, dir+"/"+c.root, noLimit, ids())
				if err != nil {
					var merr *Error
					require.ErrorAs(t, err, &merr)
					require.Equal(t, code.PathChanged, merr.C, "%v", err)
					continue
				}
				if f := target.Binary; f.Error == "" {
					measuredOnce = true
					require.Equal(t, good[f.Inode], target.Digest == sha256.Sum256([]byte("A")))
					require.Equal(t, f.Inode == evil, target.Digest == sha256.Sum256([]byte("E")))
					require.Equal(t, f.InsideRoot, target.walked[min(len(target.Root.Segments), len(target.walked)-1)] == fileID{uint64(target.Root.Device), uint64(target.Root.Inode)} &&
						target.Binary.Ancestors[min(len(target.Root.Segments), len(target.walked)-1)].Path == target.Root.Path)
					if want, direct := holds[target.Root.Inode]; f.InsideRoot && direct && name != "the file" {
						require.Equal(t, want, f.Inode, "it is the file of the root that was seen")
					}
					if root != 0 {
						require.Equal(t, root, target.Root.Inode)
					}
				}
				require.NoError(t, target.Close())
			}
			require.True(t, measuredOnce, "the gaps are large enough for some")
		})
	}
}
