package private

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/code"
)

// tree lays out a directory with a file, a directory with a file, and a link.
func tree(t *testing.T) string {
	dir := filepath.Join(tempDir(t), "tree")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "sub"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), []byte("one"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "sub", "b"), []byte("two"), 0o600))
	return dir
}

func TestTreeReads(t *testing.T) {
	noLeak(t)
	dir := tree(t)
	link := filepath.Join(filepath.Dir(dir), "link")
	require.NoError(t, os.Symlink("tree", link))
	for _, path := range []string{dir, link, dir + "/", dir + "/sub/.."} {
		w, err := OpenTree(os.Geteuid(), path)
		require.NoError(t, err, path)
		require.Equal(t, dir, w.Path())
		require.NoError(t, w.Dir("sub"))
		text, err := w.Read("sub/b", 3)
		require.NoError(t, err)
		require.Equal(t, "two", string(text))
		_, err = w.Read("a", 2)
		require.ErrorContains(t, err, "larger than 2")
		_, err = w.Read("../tree/a", 10)
		require.Error(t, err)
		require.Error(t, w.Dir("a"))
		require.NoError(t, w.Close())
	}
}

func TestTreeOfAFileSaysSo(t *testing.T) {
	noLeak(t)
	_, err := OpenTree(os.Geteuid(), filepath.Join(tree(t), "a"))
	require.ErrorContains(t, err, "not a directory")
	require.NotContains(t, err.Error(), "changed")
}

func TestTreeRefuses(t *testing.T) {
	noLeak(t)
	for name, c := range map[string]struct {
		change func(t *testing.T, dir string)
		want   code.Code
	}{
		"directory above others can write": {func(t *testing.T, dir string) { chmod(t, filepath.Dir(dir), 0o777) }, code.DirectoryUnsafe},
		"directory others can write":       {func(t *testing.T, dir string) { chmod(t, dir, 0o777) }, code.DirectoryUnsafe},
		"sticky directory":                 {func(t *testing.T, dir string) { chmod(t, dir, 0o1777) }, code.DirectoryUnsafe},
		"directory below":                  {func(t *testing.T, dir string) { chmod(t, filepath.Join(dir, "sub"), 0o777) }, code.DirectoryUnsafe},
		"file others can write":            {func(t *testing.T, dir string) { chmod(t, filepath.Join(dir, "a"), 0o602) }, code.DirectoryUnsafe},
		"pipe": {func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, "a")))
			require.NoError(t, unix.Mkfifo(filepath.Join(dir, "a"), 0o600))
		}, code.DirectoryUnsafe},
		"link out of the tree": {func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, "a")))
			require.NoError(t, os.Symlink("/etc/hostname", filepath.Join(dir, "a")))
		}, code.StateFailed},
		"a file": {func(t *testing.T, dir string) {
			require.NoError(t, os.RemoveAll(dir))
			require.NoError(t, os.WriteFile(dir, nil, 0o600))
		}, code.DirectoryUnsafe},
		"nothing": {func(t *testing.T, dir string) { require.NoError(t, os.RemoveAll(dir)) }, code.StateFailed},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tree(t)
			c.change(t, dir)
			w, err := OpenTree(os.Geteuid(), dir)
			if err == nil {
				defer w.Close()
				err = w.Dir("sub")
			}
			if err == nil {
				_, err = w.Read("a", 10)
			}
			requireCode(t, c.want, err)
		})
	}
}

// A link in a directory that others can write says nothing, wherever it leads.
func TestTreeBehindSomebodysLink(t *testing.T) {
	noLeak(t)
	dir := tree(t)
	open := filepath.Join(tempDir(t), "open")
	require.NoError(t, os.Mkdir(open, 0o700))
	link := filepath.Join(open, "link")
	require.NoError(t, os.Symlink(dir, link))
	w, err := OpenTree(os.Geteuid(), link)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	chmod(t, open, 0o777)
	_, err = OpenTree(os.Geteuid(), link)
	requireCode(t, code.DirectoryUnsafe, err)
}
