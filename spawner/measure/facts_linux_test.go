package measure

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
)

func onlyRoot(t *testing.T, why string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip(why)
	}
}

// Nothing that is no regular file is opened: opening could block or have effects.
func TestWhatIsNoFileIsNotOpened(t *testing.T) {
	noLeak(t)
	dir := tree(t, "app/dir/", "app/device=->/dev/null", "app/tty=->/dev/tty")
	require.NoError(t, unix.Mkfifo(dir+"/app/fifo", 0o777))
	if len(dir) < 80 {
		l, err := net.Listen("unix", dir+"/app/socket")
		require.NoError(t, err)
		defer l.Close()
	}
	for name, want := range map[string]string{"dir": "directory", "device": "device", "tty": "device", "fifo": "fifo", "socket": "socket"} {
		if _, err := os.Lstat(filepath.Join(dir, "app", name)); err != nil {
			continue
		}
		target := measured(t, filepath.Join(dir, "app", name), dir+"/app")
		require.Equal(t, want, target.Binary.Kind)
		require.Empty(t, target.Binary.Error)
		require.Empty(t, target.Binary.Format)
		require.False(t, target.Binary.Executable)
		require.False(t, target.Hashed)
		require.Nil(t, target.File)
	}
}

func TestModesAndLinks(t *testing.T) {
	noLeak(t)
	for name, c := range map[string]struct {
		mode uint32
		want admission.File
	}{
		"plain":       {0o755, admission.File{Mode: 0o755, Executable: true}},
		"no x":        {0o644, admission.File{Mode: 0o644}},
		"set-user":    {0o4755, admission.File{Mode: 0o4755, Executable: true, Setuid: true}},
		"set-group":   {0o2755, admission.File{Mode: 0o2755, Executable: true, Setgid: true}},
		"sticky file": {0o1755, admission.File{Mode: 0o1755, Executable: true}},
		"all bits":    {0o6777, admission.File{Mode: 0o6777, Executable: true, Setuid: true, Setgid: true, WritableByOthers: true}},
		"others":      {0o702, admission.File{Mode: 0o702, Executable: true, WritableByOthers: true}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tree(t, "app/bin=A")
			require.NoError(t, os.Link(dir+"/app/bin", dir+"/other"))
			require.NoError(t, unix.Chmod(dir+"/app/bin", c.mode))
			f := measured(t, dir+"/app/bin", dir+"/app").Binary
			require.Equal(t, c.want.Mode, f.Mode)
			require.Equal(t, c.want.Executable, f.Executable)
			require.Equal(t, c.want.Setuid, f.Setuid)
			require.Equal(t, c.want.Setgid, f.Setgid)
			require.Equal(t, c.want.WritableByOthers, f.WritableByOthers)
			require.EqualValues(t, 2, f.Links)
			require.EqualValues(t, os.Geteuid(), f.UID)
			require.False(t, f.Capabilities)
			require.Equal(t, "unknown", f.Format)
			var st unix.Stat_t
			require.NoError(t, unix.Stat(dir+"/app/bin", &st))
			require.Equal(t, [4]int64{int64(st.Dev), int64(st.Ino), st.Mtim.Nano(), st.Ctim.Nano()}, [4]int64{f.Device, f.Inode, f.MtimeNS, f.CtimeNS})
		})
	}
}

func TestCapabilities(t *testing.T) {
	onlyRoot(t, "file capabilities are root's to give")
	noLeak(t)
	dir := tree(t, "app/bin=A")
	// struct vfs_cap_data, revision 2, effective: CAP_NET_BIND_SERVICE permitted.
	caps := []byte{1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	require.NoError(t, unix.Setxattr(dir+"/app/bin", "security.capability", caps, 0))
	require.True(t, measured(t, dir+"/app/bin", dir+"/app").Binary.Capabilities)
}

func TestUnreadable(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root reads everything")
	}
	noLeak(t)
	dir := tree(t, "app/bin=A")
	require.NoError(t, unix.Chmod(dir+"/app/bin", 0o311))
	target := measured(t, dir+"/app/bin", dir+"/app")
	require.Equal(t, string(code.BinaryUnresolvable), target.Binary.Error)
	require.Equal(t, "regular", target.Binary.Kind)
	require.Nil(t, target.File)
	require.False(t, target.Binary.InsideRoot)
}

func TestAncestors(t *testing.T) {
	onlyRoot(t, "only root gives directories away")
	noLeak(t)
	dir := tree(t, "sticky/theirs/app/bin=A")
	require.NoError(t, unix.Chmod(dir+"/sticky", 0o1777))
	require.NoError(t, os.Chown(dir+"/sticky/theirs", 1001, 1002))
	require.NoError(t, unix.Chmod(dir+"/sticky/theirs", 0o775))
	require.NoError(t, os.Chown(dir+"/sticky/theirs/app/bin", 1002, 0))
	f := measured(t, dir+"/sticky/theirs/app/bin", dir+"/sticky/theirs/app").Binary
	require.Equal(t, []int64{0, 1001}, f.AncestorOwners)
	require.EqualValues(t, 1002, f.UID)
	last := f.Ancestors[len(f.Ancestors)-3:]
	require.Equal(t, []admission.Ancestor{
		{Path: dir + "/sticky", Mode: 0o1777, Sticky: true, WritableByOthers: true, ChildUID: 1001},
		{Path: dir + "/sticky/theirs", UID: 1001, GID: 1002, Mode: 0o775, WritableByOthers: true},
		{Path: dir + "/sticky/theirs/app", Mode: 0o755, ChildUID: 1002},
	}, last)
	require.Contains(t, f.AncestorsWritable, last[0])
	require.Contains(t, f.AncestorsWritable, last[1])
	require.NotContains(t, f.AncestorsWritable, last[2])
	for _, a := range f.AncestorsWritable {
		require.True(t, a.WritableByOthers)
	}
}

func TestBroad(t *testing.T) {
	noLeak(t)
	dir := tree(t, "app/bin=A")
	for root, want := range map[string]string{"/": "filesystem root", "/usr": "system directory", "/tmp": "temporary directory", "/usr/bin": "", dir + "/app": ""} {
		require.Equal(t, want, measured(t, dir+"/app/bin", root).Root.Broad, root)
	}
}

// A write lease makes an ordinary open wait; measuring must not.
func TestWriteLeaseDoesNotBlock(t *testing.T) {
	noLeak(t)
	dir := tree(t, "app/bin=A")
	f, err := os.OpenFile(dir+"/app/bin", os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		t.Skip("the file system gives no leases: ", err)
	}
	target := measured(t, dir+"/app/bin", dir+"/app")
	require.Equal(t, string(code.BinaryUnresolvable), target.Binary.Error)
	require.Contains(t, target.Binary.Detail, "lease")
}

// privateMounts gives the rest of a subtest a mount namespace of its own.
func privateMounts(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // never unlocked: the thread ends with the subtest
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
		t.Skip("no mount namespace to be had: ", err)
	}
	require.NoError(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
}

func mountAt(t *testing.T, source, at, kind string, flags uintptr, data string) {
	t.Helper()
	require.NoError(t, unix.Mount(source, at, kind, flags, data))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(at, unix.MNT_DETACH)) })
}

func TestMounts(t *testing.T) {
	noLeak(t)
	t.Run("another place of the root", func(t *testing.T) {
		dir := tree(t, "app/bin=A", "alias/", "wrap/")
		privateMounts(t)
		mountAt(t, dir+"/app", dir+"/alias", "", unix.MS_BIND, "")
		f := measured(t, dir+"/alias/bin", dir+"/app").Binary
		require.False(t, f.InsideRoot, "the same directory under another name is another place")
		require.True(t, measured(t, dir+"/alias/bin", dir+"/alias").Binary.InsideRoot)
	})
	t.Run("something mounted over the root", func(t *testing.T) {
		dir := tree(t, "app/bin=A", "evil/bin=E")
		before := measured(t, dir+"/app/bin", dir+"/app")
		privateMounts(t)
		mountAt(t, dir+"/evil", dir+"/app", "", unix.MS_BIND, "")
		after := measured(t, dir+"/app/bin", dir+"/app")
		require.True(t, after.Binary.InsideRoot)
		require.NotEqual(t, before.Root.Inode, after.Root.Inode)
		require.NotEqual(t, before.Digest, after.Digest)
		require.NotEqual(t, before.Binary.Mount.ID, after.Binary.Mount.ID)
	})
	t.Run("mount flags", func(t *testing.T) {
		dir := tree(t, "app/")
		privateMounts(t)
		mountAt(t, "none", dir+"/app", "tmpfs", unix.MS_NOEXEC|unix.MS_NOSUID, "size=64k")
		require.NoError(t, os.WriteFile(dir+"/app/bin", []byte("A"), 0o755))
		f := measured(t, dir+"/app/bin", dir+"/app").Binary
		require.True(t, f.Executable, "the mount forbids it, not the file")
		m := f.Mount
		require.Positive(t, m.ID)
		m.ID = 0
		require.Equal(t, admission.Mount{FSType: "tmpfs", FSMagic: unix.TMPFS_MAGIC, Noexec: true, Nosuid: true, Local: true}, m)
	})
}

func TestFileSystemNames(t *testing.T) {
	for magic, want := range map[int64]string{unix.EXT4_SUPER_MAGIC: "ext4", unix.NFS_SUPER_MAGIC: "nfs", 0xff534d42: "cifs", 0xfe534d42: "cifs", 0x12345: "unknown(0x12345)"} {
		name, local := fileSystem(magic)
		require.Equal(t, want, name)
		require.Equal(t, want == "ext4", local)
	}
}
