package private

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/fswalk"
)

func own() *fswalk.Identities { return fswalk.NewIdentities(os.Geteuid()) }

// noLeak fails the test when it leaves more descriptors than it found.
func noLeak(t *testing.T) {
	t.Helper()
	count := func() int {
		names, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		n := 0
		for _, name := range names {
			// The runtime's own poller appears with its first use.
			to, err := os.Readlink("/proc/self/fd/" + name.Name())
			if err == nil && to != "anon_inode:[eventpoll]" && to != "anon_inode:[eventfd]" {
				n++
			}
		}
		return n
	}
	before := count()
	t.Cleanup(func() { require.Equal(t, before, count(), "descriptors leaked") })
}

func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	return dir
}

// opened opens a private directory below a fresh one.
func opened(t *testing.T) *Dir {
	t.Helper()
	d, err := Open(own(), tempDir(t), "own")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

func chmod(t *testing.T, path string, mode uint32) {
	t.Helper()
	require.NoError(t, unix.Chmod(path, mode))
}

func requireCode(t *testing.T, want code.Code, err error) {
	t.Helper()
	require.Error(t, err)
	got, _ := code.Of(err)
	require.Equal(t, want, got, "%v", err)
}

func TestOpen(t *testing.T) {
	const ok = code.Code("")
	give := func(path string, uid int) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if os.Geteuid() != 0 {
				t.Skip("only root gives directories away")
			}
			require.NoError(t, os.MkdirAll(filepath.Join(dir, path), 0o700))
			require.NoError(t, os.Lchown(filepath.Join(dir, path), uid, uid))
		}
	}
	with := func(path string, mode uint32) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			require.NoError(t, os.MkdirAll(filepath.Join(dir, path), 0o700))
			chmod(t, filepath.Join(dir, path), mode)
		}
	}
	link := func(path, to string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o700))
			require.NoError(t, os.Symlink(strings.ReplaceAll(to, "$", dir), filepath.Join(dir, path)))
		}
	}
	file := func(path string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(dir, path), nil, 0o600))
		}
	}
	nothing := func(*testing.T, string) {}
	both := func(fs ...func(*testing.T, string)) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			for _, f := range fs {
				f(t, dir)
			}
		}
	}
	for name, c := range map[string]struct {
		prepare func(t *testing.T, dir string)
		want    code.Code
		says    string
	}{
		"all missing":                       {nothing, ok, ""},
		"parent exists":                     {with("up/parent", 0o755), ok, ""},
		"all exist":                         {both(with("up/parent/a", 0o700), with("up/parent/a/b", 0o700)), ok, ""},
		"own directory is read-only":        {with("up/parent/a/b", 0o500), ok, ""},
		"parent is a link":                  {both(with("real", 0o700), link("up/parent", "$/real")), ok, ""},
		"parent is a dangling link":         {link("up/parent", "nowhere"), code.StateFailed, "leads nowhere"},
		"parent's parent dangles":           {link("up", "nowhere"), code.StateFailed, "leads nowhere"},
		"parent is a loop":                  {link("up/parent", "parent"), code.StateFailed, ""},
		"parent is a file":                  {file("up/parent"), code.StateFailed, "not a directory"},
		"parent's parent is a file":         {file("up"), code.StateFailed, "not a directory"},
		"others write above":                {with("up", 0o707), code.DirectoryUnsafe, "others can write"},
		"others write above, sticky":        {with("up", 0o1777), ok, ""},
		"others write the parent":           {with("up/parent", 0o777), code.DirectoryUnsafe, "mode 0777"},
		"others write the parent, sticky":   {with("up/parent", 0o1777), ok, ""},
		"another user's directory above":    {give("up", 1001), code.DirectoryUnsafe, "user 1001"},
		"another user's parent":             {give("up/parent", 1002), code.DirectoryUnsafe, "user 1002"},
		"another user's in a sticky parent": {both(with("up/parent", 0o1777), give("up/parent/a", 1001)), code.DirectoryUnsafe, "owner 1001"},
		"another user's above, sticky":      {both(with("up", 0o1777), give("up/parent", 1001)), code.DirectoryUnsafe, "others can write it"},
		"own directory of another user":     {give("up/parent/a", 1001), code.DirectoryUnsafe, "owner 1001, mode 0700"},
		"own last directory of another":     {give("up/parent/a/b", 1001), code.DirectoryUnsafe, "owner 1001"},
		"own directory with 0755":           {with("up/parent/a", 0o755), code.DirectoryUnsafe, "mode 0755"},
		"own directory with 0710":           {with("up/parent/a/b", 0o710), code.DirectoryUnsafe, "mode 0710"},
		"own directory with 0701":           {with("up/parent/a/b", 0o701), code.DirectoryUnsafe, "mode 0701"},
		"own directory is a link":           {both(with("real", 0o700), link("up/parent/a", "$/real")), code.DirectoryUnsafe, "a link or a file"},
		"own directory is a dangling link":  {link("up/parent/a", "nowhere"), code.DirectoryUnsafe, "a link or a file"},
		"own directory is a file":           {file("up/parent/a/b"), code.DirectoryUnsafe, "a link or a file"},
		"own directory is a FIFO": {func(t *testing.T, dir string) {
			with("up/parent/a", 0o700)(t, dir)
			require.NoError(t, unix.Mkfifo(filepath.Join(dir, "up/parent/a/b"), 0o700))
		}, code.DirectoryUnsafe, "a link or a file"},
	} {
		t.Run(name, func(t *testing.T) {
			noLeak(t)
			dir := tempDir(t)
			c.prepare(t, dir)
			d, err := Open(own(), filepath.Join(dir, "up/parent"), "a", "b")
			if c.want != ok {
				requireCode(t, c.want, err)
				require.ErrorContains(t, err, c.says)
				require.ErrorContains(t, err, dir, "the message names the place")
				return
			}
			require.NoError(t, err)
			require.Equal(t, "b", filepath.Base(d.Path()))
			for _, p := range []string{d.Path(), filepath.Dir(d.Path())} {
				st, err := os.Stat(p)
				require.NoError(t, err)
				require.Zero(t, st.Mode()&0o077)
			}
			flags, err := unix.FcntlInt(uintptr(d.fd()), unix.F_GETFD, 0)
			require.NoError(t, err)
			require.Equal(t, unix.FD_CLOEXEC, flags)
			require.NoError(t, d.Close())
		})
	}
}

func TestOpenWithStrangePaths(t *testing.T) {
	noLeak(t)
	dir := tempDir(t)
	for _, parent := range []string{"", ".", "state", "../state"} {
		_, err := Open(own(), parent, "a")
		requireCode(t, code.StateFailed, err)
		require.ErrorContains(t, err, "not an absolute path")
	}
	for _, parent := range []string{"/new/state/", "/two//deep///state/.", "/./x/../state/"} {
		d, err := Open(own(), dir+parent, "a")
		require.NoError(t, err)
		require.Equal(t, filepath.Join(dir, parent, "a"), d.Path())
		names, err := os.ReadDir(filepath.Join(dir, parent))
		require.NoError(t, err)
		require.Len(t, names, 1, "nothing else is made")
		require.NoError(t, d.Close())
	}
	for _, name := range []string{"", ".", "..", "a/b", "/", "a\x00"} {
		_, err := Open(own(), dir, name)
		requireCode(t, code.StateFailed, err)
		_, err = Open(own(), dir, "ok", name)
		requireCode(t, code.StateFailed, err)
	}
	d, err := Open(own(), dir)
	require.NoError(t, err, "without names the parent itself")
	require.Equal(t, dir, d.Path())
	require.NoError(t, d.Close())
	chmod(t, dir, 0o1777)
	_, err = Open(own(), dir)
	requireCode(t, code.DirectoryUnsafe, err)
}

func TestOpenMissingTreeFromManySides(t *testing.T) {
	noLeak(t)
	dir := tempDir(t)
	var wg sync.WaitGroup
	errs := make([]error, 20)
	for i := range errs {
		wg.Go(func() {
			d, err := Open(own(), dir+"/some/missing/tree", "a", "b", "c")
			if err == nil {
				err = errors.Join(d.Write("file", []byte("text")), d.Close())
			}
			errs[i] = err
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	names, err := os.ReadDir(dir + "/some/missing/tree/a/b/c")
	require.NoError(t, err)
	require.Len(t, names, 1)
}

func TestSub(t *testing.T) {
	noLeak(t)
	d := opened(t)
	for range 2 {
		s, err := d.Sub("below", own())
		require.NoError(t, err)
		require.Equal(t, d.Path()+"/below", s.Path())
		require.NoError(t, s.Close())
	}
	chmod(t, d.Path()+"/below", 0o750)
	_, err := d.Sub("below", own())
	requireCode(t, code.DirectoryUnsafe, err)
	_, err = d.Sub("..", own())
	requireCode(t, code.StateFailed, err)
}

func TestWriteReadRemove(t *testing.T) {
	noLeak(t)
	d := opened(t)
	require.NoError(t, d.Write("file", []byte("one")))
	require.NoError(t, d.Write("file", []byte("two, longer")))
	require.NoError(t, d.Write("empty", nil))
	data, err := d.Read("file", 100)
	require.NoError(t, err)
	require.Equal(t, "two, longer", string(data))
	data, err = d.Read("empty", 0)
	require.NoError(t, err)
	require.Empty(t, data)
	st, err := os.Stat(d.Path() + "/file")
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), st.Mode())
	names, err := d.Names()
	require.NoError(t, err)
	require.Equal(t, []string{"empty", "file"}, names)
	require.NoError(t, d.Remove("file"))
	require.NoError(t, d.Remove("file"), "twice is no error")
	_, err = d.Read("file", 100)
	require.ErrorIs(t, err, fs.ErrNotExist)
	for _, name := range []string{"", ".", "..", "a/b", "../own/x"} {
		requireCode(t, code.StateFailed, d.Write(name, nil))
		requireCode(t, code.StateFailed, d.Remove(name))
		requireCode(t, code.StateFailed, d.RemoveTree(name))
		_, err := d.Read(name, 1)
		requireCode(t, code.StateFailed, err)
	}
}

func TestNamesAreSortedForEveryone(t *testing.T) {
	noLeak(t)
	d := opened(t)
	want := []string{}
	for i := range 200 {
		name := string(rune('a'+i%26)) + strings.Repeat("x", i/26)
		require.NoError(t, os.WriteFile(d.Path()+"/"+name, nil, 0o600))
		want = append(want, name)
	}
	var wg sync.WaitGroup
	lists := make([][]string, 8)
	for i := range lists {
		wg.Go(func() { lists[i], _ = d.Names() })
	}
	wg.Wait()
	for _, names := range lists {
		require.ElementsMatch(t, want, names)
		require.IsNonDecreasing(t, names)
	}
}

func TestReadRefuses(t *testing.T) {
	noLeak(t)
	d := opened(t)
	at := func(name string) string { return d.Path() + "/" + name }
	require.NoError(t, d.Write("large", []byte("12345")))
	require.NoError(t, os.Symlink("large", at("link")))
	require.NoError(t, os.Mkdir(at("dir"), 0o700))
	require.NoError(t, unix.Mkfifo(at("fifo"), 0o600))
	for _, name := range []string{"large", "link", "dir", "fifo", "none"} {
		_, err := d.Read(name, 4)
		require.ErrorContains(t, err, at(name))
	}
	if os.Geteuid() != 0 {
		return // files of others are only root's to make
	}
	require.NoError(t, d.Write("theirs", []byte("1")))
	require.NoError(t, os.Chown(at("theirs"), 1001, 0))
	_, err := d.Read("theirs", 4)
	require.ErrorContains(t, err, "not a regular file of user 0")
}

// A reader meets the old content or the new, never a part.
func TestWriteIsAtomic(t *testing.T) {
	noLeak(t)
	d := opened(t)
	texts := []string{strings.Repeat("a", 5000), strings.Repeat("b", 9000)}
	require.NoError(t, d.Write("file", []byte(texts[0])))
	done := make(chan error)
	go func() {
		var err error
		for i := range 50 {
			err = errors.Join(err, d.Write("file", []byte(texts[i%2])))
		}
		done <- err
		close(done)
	}()
	for reading := true; reading; {
		select {
		case err := <-done:
			require.NoError(t, err)
			reading = false
		default:
			data, err := d.Read("file", 1<<20)
			require.NoError(t, err)
			require.Contains(t, texts, string(data))
		}
	}
	names, err := d.Names()
	require.NoError(t, err)
	require.Equal(t, []string{"file"}, names, "no temporary file is left")
}

func TestWriteOverOtherThings(t *testing.T) {
	noLeak(t)
	d := opened(t)
	victim := filepath.Join(t.TempDir(), "victim")
	require.NoError(t, os.WriteFile(victim, []byte("old"), 0o600))
	require.NoError(t, os.Symlink(victim, d.Path()+"/link"))
	require.NoError(t, os.Link(victim, d.Path()+"/hard"))
	require.NoError(t, d.Write("link", []byte("new")))
	require.NoError(t, d.Write("hard", []byte("new")))
	data, err := os.ReadFile(victim)
	require.NoError(t, err)
	require.Equal(t, "old", string(data), "neither link is written through")
	require.NoError(t, os.Mkdir(d.Path()+"/dir", 0o700))
	requireCode(t, code.StateFailed, d.Write("dir", []byte("new")))
	names, err := d.Names()
	require.NoError(t, err)
	require.Equal(t, []string{"dir", "hard", "link"}, names)
}

func TestFullDisk(t *testing.T) {
	noLeak(t)
	dir := tempDir(t)
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
		t.Skip("no mount namespace to be had: ", err)
	}
	require.NoError(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	require.NoError(t, unix.Mount("none", dir, "tmpfs", 0, "size=64k,mode=700"))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	d, err := Open(own(), dir, "own")
	require.NoError(t, err)
	defer func() { require.NoError(t, d.Close()) }()
	require.NoError(t, d.Write("file", []byte("old")))

	err = d.Write("file", make([]byte, 128<<10))
	requireCode(t, code.StateFailed, err)
	require.ErrorIs(t, err, unix.ENOSPC)
	data, err := d.Read("file", 100)
	require.NoError(t, err)
	require.Equal(t, "old", string(data))
	names, err := d.Names()
	require.NoError(t, err)
	require.Equal(t, []string{"file"}, names)

	require.NoError(t, unix.Mount("none", dir, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	err = d.Write("file", []byte("new"))
	require.ErrorIs(t, err, unix.EROFS)
	requireCode(t, code.StateFailed, err)
	requireCode(t, code.StateFailed, d.Remove("file"))
	_, err = d.Sub("new", own())
	requireCode(t, code.StateFailed, err)
	_, err = Open(own(), dir, "other")
	requireCode(t, code.StateFailed, err)
}

func TestReadOnlyDirectory(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root writes into every directory")
	}
	noLeak(t)
	d := opened(t)
	require.NoError(t, d.Write("file", []byte("old")))
	chmod(t, d.Path(), 0o500)
	t.Cleanup(func() { chmod(t, d.Path(), 0o700) })
	requireCode(t, code.StateFailed, d.Write("file", []byte("new")))
	requireCode(t, code.StateFailed, d.Remove("file"))
	requireCode(t, code.StateFailed, d.RemoveTree("file"))
}

func TestRemoveTreeFollowsNoLink(t *testing.T) {
	noLeak(t)
	d := opened(t)
	victim := t.TempDir()
	require.NoError(t, os.WriteFile(victim+"/file", nil, 0o600))
	require.NoError(t, os.MkdirAll(d.Path()+"/tree/a/b", 0o700))
	require.NoError(t, os.Symlink(victim, d.Path()+"/tree/a/link"))
	require.NoError(t, os.Symlink(victim, d.Path()+"/link"))
	require.NoError(t, d.RemoveTree("tree"))
	require.NoError(t, d.RemoveTree("tree"), "twice is no error")
	require.NoError(t, d.RemoveTree("link"))
	require.FileExists(t, victim+"/file")
	names, err := d.Names()
	require.NoError(t, err)
	require.Empty(t, names)
}

// The open directory counts, not what stands under its path by now.
func TestDirectoryThatWasMovedAway(t *testing.T) {
	noLeak(t)
	d := opened(t)
	require.NoError(t, os.MkdirAll(d.Path()+"/tree", 0o700))
	require.NoError(t, os.Rename(d.Path(), d.Path()+".moved"))
	require.NoError(t, os.MkdirAll(d.Path()+"/tree", 0o700))
	require.NoError(t, d.Write("file", []byte("x")))
	require.NoError(t, d.RemoveTree("tree"))
	require.DirExists(t, d.Path()+"/tree")
	require.NoDirExists(t, d.Path()+".moved/tree")
	require.FileExists(t, d.Path()+".moved/file")
	require.NoFileExists(t, d.Path()+"/file")
}
