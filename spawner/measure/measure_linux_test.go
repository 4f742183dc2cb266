package measure

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/fswalk"
)

var noLimit = Limits{Bytes: 1 << 40}

func ids() *fswalk.Identities { return fswalk.NewIdentities(os.Geteuid()) }

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

// tree makes a directory with files: a name that ends in "/" is a directory, a
// content that starts with "->" is a link.
func tree(t *testing.T, entries ...string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	for _, e := range entries {
		name, content, _ := strings.Cut(e, "=")
		at := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o755))
		switch to, link := strings.CutPrefix(content, "->"); {
		case strings.HasSuffix(name, "/"):
			require.NoError(t, os.MkdirAll(at, 0o755))
		case link:
			require.NoError(t, os.Symlink(strings.ReplaceAll(to, "$", dir), at))
		default:
			require.NoError(t, os.WriteFile(at, []byte(content), 0o755))
		}
	}
	return dir
}

func measured(t *testing.T, binary, root string) *Target {
	t.Helper()
	target, err := Measure(t.Context(), binary, root, noLimit, ids())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, target.Close()) })
	for _, f := range []admission.File{target.Binary, target.Root} {
		require.True(t, utf8.ValidString(fmt.Sprintf("%v", f)), "every fact is text")
		require.NotNil(t, f.Segments)
		require.NotNil(t, f.Ancestors)
		require.NotNil(t, f.AncestorsWritable)
		require.NotNil(t, f.AncestorOwners)
	}
	return target
}

func TestPlacement(t *testing.T) {
	long := strings.Repeat("d/", 2048)
	for name, c := range map[string]struct {
		binary, root       string // below the test's directory, unless empty or absolute
		binaryErr, rootErr code.Code
		inside             bool
	}{
		"inside":                         {"app/bin", "app", "", "", true},
		"deep inside":                    {"app/a/b/bin", "app", "", "", true},
		"inside /":                       {"app/bin", "/", "", "", true},
		"root with slash":                {"app/bin", "app/", "", "", true},
		"dots":                           {"app/./a/../bin", "app/../app/.", "", "", true},
		"sibling with the same prefix":   {"app-evil/bin", "app", "", "", false},
		"shorter sibling":                {"ap/bin", "app", "", "", false},
		"parent":                         {"bin", "app", "", "", false},
		"dots lead out":                  {"app/../app-evil/bin", "app", "", "", false},
		"link into the root":             {"into", "app", "", "", true},
		"link out of the root":           {"app/out", "app", "", "", false},
		"link inside the root":           {"app/link", "app", "", "", true},
		"root is a link":                 {"app/bin", "applink", "", "", true},
		"both through a link":            {"applink/bin", "applink", "", "", true},
		"binary through a link":          {"applink/bin", "app", "", "", true},
		"root links elsewhere":           {"app/bin", "evillink", "", "", false},
		"directory link leads out":       {"app/dir/bin", "app", "", "", false},
		"hard link is a file of its own": {"app/hard", "app", "", "", true},
		"root is the binary":             {"app/bin", "app/bin", "", code.AllowRootNotDirectory, false},
		"root below the binary":          {"app/bin", "app/bin/x", "", code.AllowRootUnresolvable, false},
		"root is deeper":                 {"app/bin", "app/a", "", "", false},
		"binary is the root":             {"app", "app", "", "", false},
		"binary is /":                    {"/", "/", "", "", false},

		"binary empty":               {"", "app", code.BinaryPathEmpty, "", false},
		"root empty":                 {"app/bin", "", "", code.AllowRootEmpty, false},
		"both empty":                 {"", "", code.BinaryPathEmpty, code.AllowRootEmpty, false},
		"binary missing":             {"app/none", "app", code.BinaryUnresolvable, "", false},
		"root missing":               {"app/bin", "none", "", code.AllowRootUnresolvable, false},
		"both missing":               {"none", "none/none", code.BinaryUnresolvable, code.AllowRootUnresolvable, false},
		"binary missing, root empty": {"none", "", code.BinaryUnresolvable, code.AllowRootEmpty, false},
		"below a file":               {"app/bin/x", "app", code.BinaryUnresolvable, "", false},
		"file with slash":            {"app/bin/", "app", code.BinaryUnresolvable, "", false},
		"dangling link":              {"dangling", "app", code.BinaryUnresolvable, "", false},
		"link loop":                  {"loop", "loop", code.BinaryUnresolvable, code.AllowRootUnresolvable, false},
		"links in a circle":          {"circle1/bin", "circle2", code.BinaryUnresolvable, code.AllowRootUnresolvable, false},
		"name too long":              {strings.Repeat("n", 256), "app", code.BinaryUnresolvable, "", false},
		"path of 4096 bytes":         {long, long, code.BinaryUnresolvable, code.AllowRootUnresolvable, false},
		"NUL":                        {"app/b\x00in", "a\x00pp", code.BinaryUnresolvable, code.AllowRootUnresolvable, false},
		"not UTF-8 as requested":     {"app/\xff", "\xfe", code.BinaryUnresolvable, code.AllowRootUnresolvable, false},
		"not UTF-8 though there":     {"app/raw\xff", "app", code.BinaryUnresolvable, "", false},
		"link to what is not UTF-8":  {"app/rawlink", "app", code.BinaryUnresolvable, "", false},
		"root that is not UTF-8":     {"app/bin", "rootlink", "", code.AllowRootUnresolvable, false},
		"loop of not UTF-8":          {"loop\xff", "app", code.BinaryUnresolvable, "", false},
		"root is a file":             {"app/bin", "app-evil/bin", "", code.AllowRootNotDirectory, false},
		"root is a device":           {"app/bin", "/dev/null", "", code.AllowRootNotDirectory, false},
		"root is a link to a file":   {"app/bin", "into", "", code.AllowRootNotDirectory, false},
	} {
		t.Run(name, func(t *testing.T) {
			noLeak(t)
			dir := tree(t, "app/bin=A", "app/a/b/bin=deep", "app-evil/bin=E", "ap/bin=S", "bin=P", "into=->app/bin", "app/out=->$/app-evil/bin",
				"app/link=->a/b/bin", "applink=->app", "evillink=->app-evil", "app/dir=->../app-evil", "dangling=->none", "loop=->loop",
				"circle1=->circle2", "circle2=->circle1", "app/raw\xff=R", "app/rawlink=->raw\xff", "root\xff/", "rootlink=->root\xff", "loop\xff=->loop\xff")
			require.NoError(t, os.Link(filepath.Join(dir, "app-evil/bin"), filepath.Join(dir, "app/hard")))
			at := func(p string) string {
				if p == "" || p[0] == '/' {
					return p
				}
				return dir + "/" + p
			}
			target := measured(t, at(c.binary), at(c.root))
			require.Equal(t, string(c.binaryErr), target.Binary.Error)
			require.Equal(t, string(c.rootErr), target.Root.Error)
			require.Equal(t, c.inside, target.Binary.InsideRoot)
			require.Equal(t, strings.ToValidUTF8(at(c.binary), "\uFFFD"), target.Binary.Requested)
			for _, f := range []admission.File{target.Binary, target.Root} {
				require.Equal(t, f.Error != "", f.Detail != "", "an error has a reason")
			}
			if c.binaryErr != "" {
				require.Nil(t, target.File)
				require.False(t, target.Hashed)
			}
		})
	}
}

func TestRelativePathsAreFacts(t *testing.T) {
	target := measured(t, "bin", "app")
	require.Equal(t, string(code.BinaryUnresolvable), target.Binary.Error)
	require.Equal(t, string(code.AllowRootUnresolvable), target.Root.Error)
}

func TestDigestIsOfTheWholeFile(t *testing.T) {
	noLeak(t)
	for _, size := range []int{0, 1, chunk - 1, chunk, chunk + 1, 3*chunk + 17} {
		dir := tree(t, "app/bin="+strings.Repeat("x", size))
		target := measured(t, dir+"/app/bin", dir+"/app")
		sum := sha256.Sum256([]byte(strings.Repeat("x", size)))
		require.True(t, target.Hashed)
		require.Equal(t, sum, target.Digest)
		require.Equal(t, hex.EncodeToString(sum[:]), target.Binary.SHA256)
		require.EqualValues(t, size, target.Binary.Size)
		flags, err := unix.FcntlInt(target.File.Fd(), unix.F_GETFD, 0)
		require.NoError(t, err)
		require.Equal(t, unix.FD_CLOEXEC, flags)
	}
}

func TestMaxBytes(t *testing.T) {
	noLeak(t)
	dir := tree(t, "app/bin=12345")
	for limit, hashed := range map[int64]bool{6: true, 5: true, 4: false, 0: false, -1: false} {
		target, err := Measure(t.Context(), dir+"/app/bin", dir+"/app", Limits{Bytes: limit}, ids())
		require.NoError(t, err)
		require.Equal(t, hashed, target.Hashed)
		require.Equal(t, hashed, target.Binary.SHA256 != "")
		require.EqualValues(t, 5, target.Binary.Size)
		require.NoError(t, target.Close())
		require.NoError(t, target.Close(), "closing twice is no error")
	}
}

func TestCancelled(t *testing.T) {
	noLeak(t)
	dir := tree(t, "app/bin=A")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Measure(ctx, dir+"/app/bin", dir+"/app", noLimit, ids())
	require.ErrorIs(t, err, context.Canceled)
	var merr *Error
	require.False(t, errors.As(err, &merr))
}

func TestErrorNamesPathAndCause(t *testing.T) {
	err := &Error{C: code.PathChanged, Path: "/x", Err: fswalk.ErrChanged}
	require.Equal(t, "measure /x: "+fswalk.ErrChanged.Error(), err.Error())
	require.ErrorIs(t, err, fswalk.ErrChanged)
	require.Equal(t, code.PathChanged, err.Code())
}
