//go:build amd64 || arm64

package spawner_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// program is a static program without a runtime: its first instructions make
// the file mark. With an argument it listens on that socket until it is killed.
// All have the same length.
func program(t testing.TB, mark string) []byte {
	t.Helper()
	machine, text := programText()
	const base, header, size = 0x400000, 64 + 56, 512
	require.Less(t, header+len(text)+len(mark), size)
	image := make([]byte, size)
	put := func(at, n int, v uint64) {
		for i := range n {
			image[at+i] = byte(v >> (8 * i))
		}
	}
	copy(image, "\x7fELF\x02\x01\x01")
	copy(image[header:], text)
	copy(image[header+len(text):], mark)
	put(16, 2, 2) // executable
	put(18, 2, machine)
	put(20, 4, 1)
	put(24, 8, base+header) // entry
	put(32, 8, 64)          // program headers
	put(52, 2, 64)
	put(54, 2, 56)
	put(56, 2, 1)
	put(64, 4, 1)    // load
	put(68, 4, 5)    // readable, executable
	put(80, 8, base) // virtual address
	put(88, 8, base)
	put(96, 8, size)
	put(104, 8, size)
	put(112, 8, 0x1000)
	return image
}

// arena is a directory in which a good program is to be launched and an evil one
// is at hand. Each leaves its mark.
//
//	opt/bin      what is launched, opt/evil beside it
//	other/bin    the evil one under the same name
//	link         leads to opt
type arena struct {
	dir, root, binary, evil string
	good                    []byte
}

func newArena(t testing.TB, dir string, owner int) *arena {
	t.Helper()
	a := &arena{dir: dir, root: filepath.Join(dir, "opt")}
	a.binary, a.evil = filepath.Join(a.root, "bin"), filepath.Join(a.root, "evil")
	a.good = program(t, a.mark("good"))
	evil := program(t, a.mark("evil"))
	for _, d := range []string{a.root, filepath.Join(dir, "other")} {
		require.NoError(t, os.MkdirAll(d, 0o755))
		require.NoError(t, os.Chown(d, owner, owner))
	}
	require.NoError(t, os.Symlink("opt", filepath.Join(dir, "link")))
	for path, data := range map[string][]byte{
		a.binary: a.good, a.evil: evil, filepath.Join(dir, "good"): a.good, filepath.Join(dir, "evil"): evil, filepath.Join(dir, "other/bin"): evil,
	} {
		require.NoError(t, os.WriteFile(path, data, 0o755))
		require.NoError(t, os.Chown(path, owner, owner))
	}
	require.NoError(t, os.Chown(dir, owner, owner))
	return a
}

func (a *arena) mark(of string) string { return filepath.Join(a.dir, of+".mark") }
