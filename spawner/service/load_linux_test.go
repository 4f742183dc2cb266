package service

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/code"
)

const tiny = "service_name: redis\nbinary_path: /usr/bin/redis-server\n"

// someone is a user that is neither root nor, in all likelihood, this one.
const someone = 54321

func newDirs(t *testing.T) Dirs {
	t.Helper()
	root := t.TempDir()
	d := Dirs{System: filepath.Join(root, "system"), User: filepath.Join(root, "user"), SystemUID: os.Geteuid()}
	require.NoError(t, os.Mkdir(d.System, 0o755))
	require.NoError(t, os.Mkdir(d.User, 0o700))
	chmod(t, root, 0o755)
	return d
}

func put(t *testing.T, dir, base, text string) string {
	t.Helper()
	path := filepath.Join(dir, base)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func chmod(t *testing.T, path string, mode uint32) {
	t.Helper()
	require.NoError(t, unix.Chmod(path, mode))
}

func requireLoadError(t *testing.T, dirs Dirs, c code.Code, wants ...string) {
	t.Helper()
	_, err := Load(dirs, "redis")
	require.Error(t, err)
	got, _ := code.Of(err)
	require.Equal(t, c, got, "%v", err)
	for _, want := range wants {
		require.ErrorContains(t, err, want)
	}
}

func TestLoad(t *testing.T) {
	dirs := newDirs(t)
	path := put(t, dirs.User, "redis.yaml", tiny)
	chmod(t, path, 0o640)
	l, err := Load(dirs, "redis")
	require.NoError(t, err)
	sum := sha256.Sum256([]byte(tiny))
	require.Equal(t, Loaded{Definition: l.Definition, Source: SourceFile, Path: path, Dir: dirs.User,
		OwnerUID: int64(os.Geteuid()), Mode: 0o640, SHA256: hex.EncodeToString(sum[:])}, *l)
	require.Equal(t, "/usr/bin/redis-server", l.Definition.Launch.Argv0)
	require.Equal(t, path, Facts(l).Path)

	put(t, dirs.User, "redis.yaml", tiny+"min_version: 1.0.0\n")
	l, err = Load(dirs, "redis")
	require.NoError(t, err)
	require.Equal(t, "1.0.0", l.Definition.MinVersion, "read again at every use")
}

func TestLoadEveryFormat(t *testing.T) {
	for base, text := range map[string]string{
		"redis.yaml": tiny, "redis.yml": tiny, "redis.json": `{"service_name":"redis"}`, "redis.servicedef": "\x0a\x05redis",
	} {
		dirs := newDirs(t)
		put(t, dirs.User, base, text)
		_, err := Load(dirs, "redis")
		require.NoError(t, err, base)
	}
}

func TestLoadSystemWins(t *testing.T) {
	dirs := newDirs(t)
	put(t, dirs.User, "redis.yaml", tiny)
	system := put(t, dirs.System, "redis.json", `{"service_name":"redis"}`)
	l, err := Load(dirs, "redis")
	require.NoError(t, err)
	require.Equal(t, system, l.Path)

	put(t, dirs.System, "redis.json", `{"service_name":"redis"`)
	requireLoadError(t, dirs, code.ServiceInvalid, system, "truncated")

	chmod(t, dirs.System, 0o775)
	requireLoadError(t, dirs, code.DirectoryUnsafe, dirs.System, "mode 0775", "chmod go-w")

	require.NoError(t, os.RemoveAll(dirs.System))
	l, err = Load(dirs, "redis")
	require.NoError(t, err, "a system directory that does not exist is passed over")
	require.Equal(t, dirs.User, l.Dir)

	require.NoError(t, os.WriteFile(dirs.System, nil, 0o644))
	requireLoadError(t, dirs, code.DirectoryUnsafe, "no directory")
}

func TestLoadUnknown(t *testing.T) {
	dirs := newDirs(t)
	put(t, dirs.User, "reddis.yaml", tiny)
	requireLoadError(t, dirs, code.ServiceUnknown, dirs.System, dirs.User, `did you mean "reddis"?`)
	require.NoError(t, os.RemoveAll(dirs.User))
	requireLoadError(t, dirs, code.ServiceUnknown, dirs.User)
	requireLoadError(t, Dirs{}, code.ServiceUnknown, "--services")
	for _, name := range []string{"", "Redis", "../redis", "a/b", "redis.yaml"} {
		_, err := Load(dirs, name)
		got, _ := code.Of(err)
		require.Equal(t, code.ServiceNameInvalid, got, name)
	}
}

func TestLoadUnsafeUserDirectory(t *testing.T) {
	for _, mode := range []uint32{0o701, 0o702, 0o704, 0o710, 0o720, 0o740, 0o750, 0o755, 0o777, 0o1777} {
		dirs := newDirs(t)
		put(t, dirs.User, "redis.yaml", tiny)
		chmod(t, dirs.User, mode)
		requireLoadError(t, dirs, code.DirectoryUnsafe, dirs.User, "belongs to uid", "chmod 0700 "+dirs.User)
	}
}

func TestLoadBentDirectories(t *testing.T) {
	dirs := newDirs(t)
	put(t, dirs.User, "redis.yaml", tiny)
	root := filepath.Dir(dirs.User)
	link := func(target, name string) string {
		path := filepath.Join(root, name)
		require.NoError(t, os.Symlink(target, path))
		return path
	}
	requireLoadError(t, Dirs{User: link(dirs.User, "link")}, code.DirectoryUnsafe, "is a link")
	requireLoadError(t, Dirs{User: link("loop", "loop")}, code.DirectoryUnsafe, "is a link")
	requireLoadError(t, Dirs{User: root + "/loop/services"}, code.DirectoryUnsafe, "too many links")
	requireLoadError(t, Dirs{User: "relative"}, code.DirectoryUnsafe, "not an absolute path")
	requireLoadError(t, Dirs{User: put(t, dirs.User, "file", "")}, code.DirectoryUnsafe, "no directory")
	requireLoadError(t, Dirs{User: dirs.User + "/file/x"}, code.DirectoryUnsafe)
	requireLoadError(t, Dirs{User: "/" + strings.Repeat("a/", 2100)}, code.DirectoryUnsafe, "the limit is 4095")
	_, err := Load(Dirs{User: link(root, "above") + "/user/"}, "redis")
	require.NoError(t, err, "a link above the directory is followed")

	chmod(t, root, 0o757)
	requireLoadError(t, dirs, code.DirectoryUnsafe, root, "mode 0757", "others can replace")
	chmod(t, root, 0o1757)
	_, err = Load(dirs, "redis")
	require.NoError(t, err, "a sticky directory protects what we own")
}

func TestLoadForeignOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		// Without the right to give files away, somebody else's directory has to do.
		requireLoadError(t, Dirs{System: "/", SystemUID: 0, User: "/proc/1"}, code.DirectoryUnsafe)
		return
	}
	dirs := newDirs(t)
	path := put(t, dirs.User, "redis.yaml", tiny)
	require.NoError(t, os.Chown(path, someone, someone))
	requireLoadError(t, dirs, code.ServiceInvalid, path, "belongs to uid 54321", "must belong to root")
	require.NoError(t, os.Chown(dirs.User, someone, someone))
	requireLoadError(t, dirs, code.DirectoryUnsafe, dirs.User, "belongs to uid 54321 and has mode 0700")
	require.NoError(t, os.Chown(dirs.User, 0, 0))
	require.NoError(t, os.Chown(filepath.Dir(dirs.User), someone, someone))
	requireLoadError(t, dirs, code.DirectoryUnsafe, "above the services directory", "belongs to uid 54321")
}

func TestLoadBadFiles(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(t *testing.T, dir string)
		want string
	}{
		{"truncated", func(t *testing.T, dir string) { put(t, dir, "redis.json", `{"service_name": "redis", `) }, "redis.json: line 1: the JSON ends too early"},
		{"truncated protobuf", func(t *testing.T, dir string) { put(t, dir, "redis.servicedef", "\x0a\x05red") }, "truncated"},
		{"empty", func(t *testing.T, dir string) { put(t, dir, "redis.yaml", "") }, "it is empty"},
		{"oversized", func(t *testing.T, dir string) { put(t, dir, "redis.yaml", tiny+"#"+strings.Repeat("x", MaxBytes)) }, "the limit is 1048576"},
		{"duplicate key", func(t *testing.T, dir string) { put(t, dir, "redis.yaml", tiny+tiny) }, "2 problems:\n  line 3"},
		{"unknown field", func(t *testing.T, dir string) { put(t, dir, "redis.yaml", tiny+"lunch: {}\n") }, `line 3: there is no field "lunch" here; did you mean "launch"?`},
		{"wrong name", func(t *testing.T, dir string) { put(t, dir, "redis.yaml", "service_name: other\n") }, `it is "other", but the file is named for "redis"`},
		{"link", func(t *testing.T, dir string) {
			require.NoError(t, os.Symlink(put(t, dir, "other.txt", tiny), filepath.Join(dir, "redis.yaml")))
		}, "it is a link"},
		{"link loop", func(t *testing.T, dir string) {
			require.NoError(t, os.Symlink("redis.yaml", filepath.Join(dir, "redis.yaml")))
		}, "it is a link"},
		{"directory", func(t *testing.T, dir string) { require.NoError(t, os.Mkdir(filepath.Join(dir, "redis.yaml"), 0o700)) }, "no regular file"},
		{"fifo", func(t *testing.T, dir string) {
			require.NoError(t, unix.Mkfifo(filepath.Join(dir, "redis.yaml"), 0o600))
		}, "no regular file"},
		{"group can write", func(t *testing.T, dir string) { chmod(t, put(t, dir, "redis.yaml", tiny), 0o660) }, "mode 0660; nobody else may write it"},
		{"others can write", func(t *testing.T, dir string) { chmod(t, put(t, dir, "redis.yaml", tiny), 0o602) }, "mode 0602"},
		{"two files", func(t *testing.T, dir string) { put(t, dir, "redis.yaml", tiny); put(t, dir, "redis.json", "{}") }, "redis.yaml and redis.json are definitions of one service"},
		{"two endings", func(t *testing.T, dir string) { put(t, dir, "redis.yaml", tiny); put(t, dir, "redis.yml", tiny) }, "redis.yaml and redis.yml"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dirs := newDirs(t)
			c.make(t, dirs.User)
			requireLoadError(t, dirs, code.ServiceInvalid, dirs.User, c.want)
			dirs = newDirs(t)
			put(t, dirs.User, "redis.yaml", tiny)
			c.make(t, dirs.System)
			requireLoadError(t, dirs, code.ServiceInvalid, dirs.System, c.want)
		})
	}
}

func TestLoadUnreadable(t *testing.T) {
	dirs := newDirs(t)
	path := put(t, dirs.User, "redis.yaml", tiny)
	if os.Geteuid() == 0 { // root reads everything: an owner that is not trusted stands for it
		require.NoError(t, os.Chown(path, someone, someone))
		requireLoadError(t, dirs, code.ServiceInvalid, path)
		return
	}
	chmod(t, path, 0)
	requireLoadError(t, dirs, code.ServiceInvalid, path, "permission denied")
	chmod(t, dirs.User, 0)
	requireLoadError(t, dirs, code.DirectoryUnsafe, dirs.User, "permission denied")
	chmod(t, dirs.User, 0o700)
	chmod(t, dirs.System, 0)
	requireLoadError(t, dirs, code.DirectoryUnsafe, dirs.System, "permission denied")
	chmod(t, dirs.System, 0o700)
}

func TestLoadLeavesNoDescriptor(t *testing.T) {
	dirs := newDirs(t)
	put(t, dirs.User, "redis.yaml", tiny)
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		return len(entries)
	}
	before := count()
	for range 10 {
		_, err := Load(dirs, "redis")
		require.NoError(t, err)
		_, err = Load(dirs, "missing")
		require.Error(t, err)
	}
	require.Equal(t, before, count())
}

func TestList(t *testing.T) {
	dirs := newDirs(t)
	put(t, dirs.User, "redis.yaml", tiny)
	put(t, dirs.User, "alpha.servicedef", "")
	put(t, dirs.User, "notes.txt", "")
	put(t, dirs.User, "Upper.yaml", "")
	put(t, dirs.User, "twice.yaml", "")
	put(t, dirs.User, "twice.json", "")
	put(t, dirs.System, "redis.json", "")
	entries, errs := List(dirs)
	require.Equal(t, []Entry{
		{Name: "alpha", Path: dirs.User + "/alpha.servicedef", Format: ServiceDef},
		{Name: "redis", Path: dirs.System + "/redis.json", Format: JSON, System: true},
	}, entries)
	require.Len(t, errs, 2)
	require.ErrorContains(t, errs[0], "upper-case")
	require.ErrorContains(t, errs[1], "twice.json and twice.yaml")

	chmod(t, dirs.User, 0o755)
	entries, errs = List(dirs)
	require.Len(t, entries, 1)
	require.ErrorContains(t, errs[0], "chmod 0700")
	entries, errs = List(Dirs{User: dirs.User + "/none"})
	require.Empty(t, entries)
	require.Empty(t, errs)
}

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	d, err := ReadFile(put(t, dir, "redis.yaml", tiny))
	require.NoError(t, err)
	require.Equal(t, "redis", d.ServiceName)
	require.NoError(t, unix.Mkfifo(filepath.Join(dir, "fifo.yaml"), 0o600))
	for path, want := range map[string]string{
		put(t, dir, "other.yaml", tiny):                          "named for \"other\"",
		put(t, dir, "redis.txt", tiny):                           "must end in one of .yaml",
		put(t, dir, "big.yaml", strings.Repeat("#", MaxBytes+1)): "limit",
		filepath.Join(dir, "none.yaml"):                          "no such file",
		filepath.Join(dir, "fifo.yaml"):                          "no regular file",
		"/dev/zero":                                              "must end",
	} {
		_, err := ReadFile(path)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, path)
		got, _ := code.Of(err)
		require.Equal(t, code.ServiceInvalid, got)
	}
}
