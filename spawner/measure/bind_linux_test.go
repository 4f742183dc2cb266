package measure

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/admission"
)

func offers(t *Target) []admission.Binding {
	var out []admission.Binding
	for _, b := range []admission.Binding{admission.Pinned, admission.Leased, admission.Verified, admission.Sealed, ""} {
		if t.Offers(b) == nil {
			out = append(out, b)
		}
	}
	return out
}

func TestOffersByWhatHoldsTheContent(t *testing.T) {
	for held, want := range map[int][]admission.Binding{
		byNothing: {admission.Pinned},
		byLease:   {admission.Pinned, admission.Leased, admission.Verified},
		byOwner:   {admission.Pinned, admission.Leased, admission.Verified},
		byRehash:  {admission.Pinned, admission.Verified},
	} {
		require.Equal(t, want, offers(&Target{held: held}), "held %d", held)
	}
}

// The table by file system, with files of every kind of owner.
func TestSecureByFileSystem(t *testing.T) {
	f, err := os.Open("/proc/self/exe") // nobody can write it
	require.NoError(t, err)
	defer f.Close()
	path := filepath.Join(t.TempDir(), "own")
	require.NoError(t, os.WriteFile(path, []byte("x"), 0o755))
	own, err := os.Open(path)
	require.NoError(t, err)
	defer own.Close()
	null, err := os.Open(os.DevNull) // no lease can be had on a device
	require.NoError(t, err)
	defer null.Close()
	for name, c := range map[string]struct {
		fs   string
		file *os.File
		uid  int64
		mode int64
		want []int
	}{
		"own file":                     {"ext4", own, int64(os.Getuid()), 0o755, []int{byLease}},
		"root's, lease refused":        {"xfs", null, 0, 0o755, []int{byOwner}},
		"root's, its group may write":  {"tmpfs", null, 0, 0o775, []int{byRehash, byNothing}},
		"another's":                    {"btrfs", null, 4242, 0o755, []int{byRehash, byNothing}},
		"overlay, another's":           {"overlay", f, 4242, 0o755, []int{byNothing}},
		"overlay, writable for others": {"overlay", f, 0, 0o757, []int{byNothing}},
		"overlay, root's, running":     {"overlay", f, 0, 0o755, []int{byOwner, byNothing}},
		"network":                      {"nfs", f, 0, 0o755, []int{byNothing}},
		"fuse":                         {"fuse", f, 0, 0o755, []int{byNothing}},
		"vfat":                         {"vfat", f, 0, 0o755, []int{byNothing}},
		"unknown":                      {"unknown(0x1)", f, 0, 0o755, []int{byNothing}},
	} {
		t.Run(name, func(t *testing.T) {
			target := &Target{File: c.file, held: byNothing}
			target.Binary.UID, target.Binary.Mode, target.Binary.Mount.FSType = c.uid, c.mode, c.fs
			target.secure(int(c.file.Fd()), []int64{77})
			defer target.Unlock()
			require.Contains(t, c.want, target.held)
			if target.held == byNothing {
				require.Error(t, target.Offers(admission.Verified))
				require.Error(t, target.Offers(admission.Leased))
			}
		})
	}
}

// A broken lease is seen, its signal disturbs nobody, and given back it lets the
// writer go on.
func TestLeaseBreaksOnce(t *testing.T) {
	noLeak(t)
	dir := tree(t, "app/bin=text")
	target, err := Measure(t.Context(), dir+"/app/bin", dir+"/app", noLimit, ids())
	require.NoError(t, err)
	defer func() { require.NoError(t, target.Close()) }()
	require.NoError(t, target.intact())
	fd := target.File.Fd()
	sig, err := unix.FcntlInt(fd, unix.F_GETSIG, 0)
	require.NoError(t, err)
	require.Equal(t, int(unix.SIGURG), sig)
	owner, err := unix.FcntlInt(fd, unix.F_GETOWN, 0)
	require.NoError(t, err)
	require.Zero(t, owner)

	open := func() error {
		w, err := unix.Open(dir+"/app/bin", unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Close(w)
		}
		return err
	}
	require.ErrorIs(t, open(), unix.EWOULDBLOCK)
	require.Error(t, target.intact())
	require.Error(t, target.Compare(t.Context(), os.Getpid(), admission.Verified))
	target.Unlock()
	require.NoError(t, open())
	require.Equal(t, []admission.Binding{admission.Pinned}, offers(target))
}

// Without a lease the content itself is compared in the stop.
func TestCompareHashesAgain(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	target, err := Measure(t.Context(), self, "", noLimit, ids())
	require.NoError(t, err)
	defer func() { require.NoError(t, target.Close()) }()
	for _, b := range []admission.Binding{admission.Pinned, admission.Leased, admission.Verified} {
		require.NoError(t, target.Compare(t.Context(), os.Getpid(), b), b)
	}
	target.held = byRehash
	require.NoError(t, target.Compare(t.Context(), os.Getpid(), admission.Verified))
	target.Digest[0] ^= 1
	require.ErrorContains(t, target.Compare(t.Context(), os.Getpid(), admission.Verified), "other content")
	target.Binary.CtimeNS++
	require.ErrorContains(t, target.Compare(t.Context(), os.Getpid(), admission.Leased), "changed after")
	target.Binary.Inode++
	require.Error(t, target.Compare(t.Context(), 1, admission.Pinned), "another process")
}
