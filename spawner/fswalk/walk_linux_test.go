package fswalk

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// descriptors counts the open descriptors of this process.
func descriptors(t *testing.T) int {
	t.Helper()
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

// noLeak fails the test when it leaves more descriptors than it found.
func noLeak(t *testing.T) {
	t.Helper()
	before := descriptors(t)
	t.Cleanup(func() { require.Equal(t, before, descriptors(t), "descriptors leaked") })
}

func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	return dir
}

func ownIDs() *Identities { return NewIdentities(os.Geteuid()) }

func TestResolve(t *testing.T) {
	dir := tempDir(t)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "a/b"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a/file"), nil, 0o600))
	for link, to := range map[string]string{"rel": "a/b", "abs": dir + "/a", "up": "a/b/../file", "loop1": "loop2", "loop2": "loop1", "dangling": "none", "self": "self"} {
		require.NoError(t, os.Symlink(to, filepath.Join(dir, link)))
	}
	for path, want := range map[string]string{
		"a/b": "a/b", "a//b/": "a/b", "./a/./b": "a/b", "rel": "a/b", "rel/..": "a", "abs/b": "a/b", "up": "a/file", "abs/../abs/file": "a/file",
		"none": "", "dangling": "", "loop1": "", "self": "", "a/file/": "", "a/file/.": "", "a/file/../b": "", "\x00": "",
		strings.Repeat("x", 256): "", strings.Repeat("d/", 2048): "", "\xff": "",
	} {
		t.Run(strings.ToValidUTF8(path[:min(len(path), 20)], "?"), func(t *testing.T) {
			got, err := Resolve(dir + "/" + path)
			if want == "" {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, filepath.Join(dir, want), got)
		})
	}
	for _, path := range []string{"", ".", "a", "../a"} {
		_, err := Resolve(path)
		require.Error(t, err, path)
	}
}

func TestSegments(t *testing.T) {
	for path, want := range map[string][]string{"/": {}, "/a": {"a"}, "/a/b c": {"a", "b c"}} {
		require.Equal(t, want, Segments(path))
	}
}

func TestToTellsOfEveryDirectory(t *testing.T) {
	noLeak(t)
	dir := tempDir(t)
	at := filepath.Join(dir, "a", "b")
	require.NoError(t, os.MkdirAll(at, 0o700))
	w, err := To(at, ownIDs())
	require.NoError(t, err)
	defer func() { require.NoError(t, w.Close()) }()
	var paths []string
	for _, d := range w.Dirs {
		paths = append(paths, d.Path)
		var st unix.Stat_t
		require.NoError(t, unix.Lstat(d.Path, &st))
		require.Equal(t, [2]uint64{st.Dev, st.Ino}, [2]uint64{d.Stat.Dev, d.Stat.Ino}, d.Path)
	}
	require.Equal(t, "/", paths[0])
	require.Equal(t, at, paths[len(paths)-1])
	require.Len(t, paths, 1+len(Segments(at)))
	require.Equal(t, at, w.Last().Path)
	flags, err := unix.FcntlInt(uintptr(w.FD), unix.F_GETFD, 0)
	require.NoError(t, err)
	require.Equal(t, unix.FD_CLOEXEC, flags)

	root, err := To("/", ownIDs())
	require.NoError(t, err)
	require.Len(t, root.Dirs, 1)
	require.NoError(t, root.Close())
}

func TestToRefusesWhatIsNotCanonical(t *testing.T) {
	noLeak(t)
	for _, path := range []string{"", ".", "tmp", "/tmp/", "/tmp/..", "/./tmp", "//tmp", "/tmp//x"} {
		_, err := To(path, ownIDs())
		require.ErrorContains(t, err, "not a canonical path", path)
		require.NotErrorIs(t, err, ErrChanged)
	}
}

// Between Resolve and To a component is replaced.
func TestChangedUnderTheWalk(t *testing.T) {
	noLeak(t)
	replace := func(with func(path string) error) func(string) error {
		return func(path string) error { return errors.Join(os.Rename(path, path+".old"), with(path)) }
	}
	for name, change := range map[string]func(path string) error{
		"link to the same":    replace(func(p string) error { return os.Symlink(p+".old", p) }),
		"link to another":     replace(func(p string) error { return os.Symlink("/usr", p) }),
		"dangling link":       replace(func(p string) error { return os.Symlink("nowhere", p) }),
		"loop":                replace(func(p string) error { return os.Symlink(p, p) }),
		"file":                replace(func(p string) error { return os.WriteFile(p, nil, 0o600) }),
		"FIFO":                replace(func(p string) error { return unix.Mkfifo(p, 0o600) }),
		"gone":                replace(func(string) error { return nil }),
		"empty new directory": replace(func(p string) error { return os.Mkdir(p, 0o700) }),
	} {
		for _, component := range []string{"a", "a/b", "a/b/c"} {
			if component == "a/b/c" && name == "empty new directory" {
				continue // another directory with the name is what is walked to then
			}
			t.Run(name+" at "+component, func(t *testing.T) {
				dir := tempDir(t)
				at := filepath.Join(dir, "a/b/c")
				require.NoError(t, os.MkdirAll(at, 0o700))
				canonical, err := Resolve(at)
				require.NoError(t, err)
				require.NoError(t, change(filepath.Join(dir, component)))
				_, err = To(canonical, ownIDs())
				require.ErrorIs(t, err, ErrChanged)
			})
		}
	}
}

func TestLeaf(t *testing.T) {
	noLeak(t)
	dir := tempDir(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o000))
	require.NoError(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	require.NoError(t, os.Symlink("file", filepath.Join(dir, "link")))
	w, err := To(dir, ownIDs())
	require.NoError(t, err)
	defer func() { require.NoError(t, w.Close()) }()
	for name, kind := range map[string]uint32{"file": unix.S_IFREG, "fifo": unix.S_IFIFO, "link": unix.S_IFLNK, ".": unix.S_IFDIR} {
		fd, err := w.Leaf(name)
		require.NoError(t, err, name)
		var st unix.Stat_t
		require.NoError(t, unix.Fstat(fd, &st))
		require.Equal(t, kind, st.Mode&unix.S_IFMT, name)
		require.NoError(t, unix.Close(fd))
	}
	_, err = w.Leaf("none")
	require.ErrorIs(t, err, ErrChanged)
	_, err = w.Leaf(strings.Repeat("n", 256))
	require.ErrorIs(t, err, unix.ENAMETOOLONG)
	require.NotErrorIs(t, err, ErrChanged)
}

func TestUnsearchableDirectory(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root searches every directory")
	}
	noLeak(t)
	dir := tempDir(t)
	at := filepath.Join(dir, "a", "b")
	require.NoError(t, os.MkdirAll(at, 0o700))
	require.NoError(t, os.Chmod(filepath.Join(dir, "a"), 0))
	t.Cleanup(func() { require.NoError(t, os.Chmod(filepath.Join(dir, "a"), 0o700)) })
	_, err := To(at, ownIDs())
	require.ErrorIs(t, err, unix.EACCES)
	require.NotErrorIs(t, err, ErrChanged, "trying again would not help")
}

func TestWritableByOthers(t *testing.T) {
	noLeak(t)
	root := os.Geteuid() == 0
	for name, c := range map[string]struct {
		mode uint32
		gid  int  // -1 leaves the group alone
		link bool // look at a link
		want bool
	}{
		"private":                        {0o700, -1, false, false},
		"readable":                       {0o755, -1, false, false},
		"others write":                   {0o702, -1, false, true},
		"others write, sticky":           {0o1777, -1, false, true},
		"others write, group does not":   {0o757, -1, false, true},
		"group 0 writes":                 {0o770, 0, false, false},
		"group 0 reads":                  {0o750, 0, false, false},
		"private group writes":           {0o770, 60001, false, false},
		"other group writes":             {0o770, 60002, false, true},
		"other group writes, sticky":     {0o1770, 60002, false, true},
		"other group writes, set-group":  {0o2770, 60002, false, true},
		"other group reads":              {0o750, 60002, false, false},
		"other group writes without x":   {0o720, 60002, false, true},
		"a link, whose mode says little": {0, -1, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			if c.gid >= 0 && !root {
				t.Skip("only root gives files to other groups")
			}
			ids := accounts(t, 60001, "pat:x:60001:60001:::\n", "pat:x:60001:\nteam:x:60002:pat\n")
			path := filepath.Join(t.TempDir(), "entry")
			if c.link {
				require.NoError(t, os.Symlink("x", path))
			} else {
				require.NoError(t, os.Mkdir(path, 0o700))
			}
			if c.gid >= 0 {
				require.NoError(t, os.Lchown(path, -1, c.gid))
			}
			if !c.link {
				require.NoError(t, unix.Chmod(path, c.mode))
			}
			require.Equal(t, c.want, writable(t, path, ids))
		})
	}
}

func writable(t *testing.T, path string, ids *Identities) bool {
	t.Helper()
	fd, err := Open(unix.AT_FDCWD, path, unix.O_PATH|unix.O_NOFOLLOW)
	require.NoError(t, err)
	defer unix.Close(fd)
	var st unix.Stat_t
	require.NoError(t, unix.Fstat(fd, &st))
	return WritableByOthers(fd, &st, ids)
}

// aclEntry is one struct posix_acl_xattr_entry.
type aclEntry struct {
	tag, perm uint16
	id        uint32
}

const (
	aclUserObj, aclUser, aclGroupObj, aclGroup, aclMask, aclOther = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20

	noID = ^uint32(0)
)

// acl is the attribute's binary form: version 2 and the entries.
func acl(entries ...aclEntry) []byte {
	b := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range entries {
		b = binary.LittleEndian.AppendUint16(b, e.tag)
		b = binary.LittleEndian.AppendUint16(b, e.perm)
		b = binary.LittleEndian.AppendUint32(b, e.id)
	}
	return b
}

func TestAccessListsCount(t *testing.T) {
	noLeak(t)
	for name, c := range map[string]struct {
		acl  []byte
		want bool
	}{
		"user may write":   {acl(aclEntry{aclUserObj, 7, noID}, aclEntry{aclUser, 7, 1002}, aclEntry{aclGroupObj, 0, noID}, aclEntry{aclMask, 7, noID}, aclEntry{aclOther, 0, noID}), true},
		"group may write":  {acl(aclEntry{aclUserObj, 7, noID}, aclEntry{aclGroupObj, 0, noID}, aclEntry{aclGroup, 2, 1002}, aclEntry{aclMask, 2, noID}, aclEntry{aclOther, 0, noID}), true},
		"the mask forbids": {acl(aclEntry{aclUserObj, 7, noID}, aclEntry{aclUser, 7, 1002}, aclEntry{aclGroupObj, 0, noID}, aclEntry{aclMask, 5, noID}, aclEntry{aclOther, 0, noID}), false},
		"user may read":    {acl(aclEntry{aclUserObj, 7, noID}, aclEntry{aclUser, 5, 1002}, aclEntry{aclGroupObj, 0, noID}, aclEntry{aclMask, 5, noID}, aclEntry{aclOther, 0, noID}), false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if os.Geteuid() == 0 {
				require.NoError(t, os.Chown(dir, 0, 0), "group 0, so that only the list can count")
			}
			require.NoError(t, os.Chmod(dir, 0o700))
			err := unix.Setxattr(dir, "system.posix_acl_access", c.acl, 0)
			if errors.Is(err, unix.EOPNOTSUPP) {
				t.Skip("the file system has no access lists")
			}
			require.NoError(t, err)
			require.Equal(t, c.want, writable(t, dir, ownIDs()))
		})
	}
}

func TestStickyInTheWalk(t *testing.T) {
	noLeak(t)
	dir := filepath.Join(tempDir(t), "sticky")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, unix.Chmod(dir, 0o1777))
	below := filepath.Join(dir, "below")
	require.NoError(t, os.Mkdir(below, 0o700))
	w, err := To(below, ownIDs())
	require.NoError(t, err)
	defer func() { require.NoError(t, w.Close()) }()
	above := w.Dirs[len(w.Dirs)-2]
	require.True(t, above.Sticky())
	require.True(t, above.WritableByOthers)
	require.False(t, w.Last().Sticky())
	require.False(t, w.Last().WritableByOthers)
}
