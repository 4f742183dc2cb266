package private

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/code"
)

func TestReadTrusted(t *testing.T) {
	const limit = 8
	root := os.Geteuid() == 0
	for name, c := range map[string]struct {
		change func(dir string) error
		want   code.Code
		says   string
		chowns bool
	}{
		"plain":                  {func(string) error { return nil }, "", "", false},
		"through a link":         {func(d string) error { return relink(d, "real") }, "", "", false},
		"exactly the limit":      {func(d string) error { return os.WriteFile(d+"/sub/file", []byte("12345678"), 0o600) }, "", "", false},
		"too large":              {func(d string) error { return os.WriteFile(d+"/sub/file", []byte("123456789"), 0o600) }, code.StateFailed, "too large", false},
		"empty":                  {func(d string) error { return os.Truncate(d+"/sub/file", 0) }, "", "", false},
		"group writes":           {func(d string) error { return grouped(d+"/sub/file", 0o660) }, code.DirectoryUnsafe, "chmod go-w", true},
		"others write":           {func(d string) error { return unix.Chmod(d+"/sub/file", 0o602) }, code.DirectoryUnsafe, "others can write it", false},
		"everybody reads":        {func(d string) error { return unix.Chmod(d+"/sub/file", 0o644) }, "", "", false},
		"others write above":     {func(d string) error { return unix.Chmod(d+"/sub", 0o777) }, code.DirectoryUnsafe, "mode 0777", false},
		"others write far above": {func(d string) error { return unix.Chmod(d, 0o777) }, code.DirectoryUnsafe, "mode 0777", false},
		"sticky above":           {func(d string) error { return unix.Chmod(d+"/sub", 0o1777) }, "", "", false},
		"another user's":         {func(d string) error { return os.Chown(d+"/sub/file", 1001, 0) }, code.DirectoryUnsafe, "user 1001", true},
		"another user's in sticky": {func(d string) error {
			return firstError(unix.Chmod(d+"/sub", 0o1777), os.Chown(d+"/sub/file", 1001, 0))
		}, code.DirectoryUnsafe, "user 1001", true},
		"another user's directory": {func(d string) error { return os.Chown(d+"/sub", 1001, 0) }, code.DirectoryUnsafe, "user 1001", true},
		"a directory":              {func(d string) error { return replace(d, os.Mkdir(d+"/new", 0o700)) }, code.DirectoryUnsafe, "not a regular file", false},
		"a FIFO":                   {func(d string) error { return replace(d, unix.Mkfifo(d+"/new", 0o600)) }, code.DirectoryUnsafe, "not a regular file", false},
		"a device":                 {func(d string) error { return replace(d, os.Symlink("/dev/null", d+"/new")) }, code.DirectoryUnsafe, "", false},
		"missing":                  {func(d string) error { return os.Remove(d + "/sub/file") }, code.StateFailed, "no such file", false},
		"a dangling link":          {func(d string) error { return relink(d, "none") }, code.DirectoryUnsafe, "leads nowhere", false},
		"a loop":                   {func(d string) error { return relink(d, "file") }, code.StateFailed, "too many links", false},
		"link into a place of others": {func(d string) error {
			return firstError(os.Mkdir(d+"/open", 0o700), os.WriteFile(d+"/open/x", nil, 0o600), unix.Chmod(d+"/open", 0o777), relink(d, "../open/x"))
		}, code.DirectoryUnsafe, "mode 0777", false},
	} {
		t.Run(name, func(t *testing.T) {
			if c.chowns && !root {
				t.Skip("only root gives files away")
			}
			noLeak(t)
			dir := tempDir(t)
			require.NoError(t, os.Mkdir(dir+"/sub", 0o700))
			require.NoError(t, os.WriteFile(dir+"/sub/file", []byte("text"), 0o600))
			require.NoError(t, os.WriteFile(dir+"/sub/real", []byte("text"), 0o600))
			require.NoError(t, c.change(dir))
			data, err := ReadTrusted(os.Geteuid(), dir+"/sub/file", limit)
			if c.want != "" {
				requireCode(t, c.want, err)
				require.ErrorContains(t, err, c.says)
				return
			}
			require.NoError(t, err)
			want, err := os.ReadFile(dir + "/sub/file")
			require.NoError(t, err)
			require.Equal(t, string(want), string(data))
		})
	}
	_, err := ReadTrusted(os.Geteuid(), filepath.Join(tempDir(t), "none"), limit)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = ReadTrusted(os.Geteuid(), "relative", limit)
	requireCode(t, code.StateFailed, err)
	_, err = ReadTrusted(os.Geteuid(), "/", limit)
	requireCode(t, code.DirectoryUnsafe, err)
}

// Root's file is trusted by everybody, a user's own only by that user.
func TestReadTrustedForAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	noLeak(t)
	dir := tempDir(t)
	require.NoError(t, os.WriteFile(dir+"/file", []byte("text"), 0o600))
	_, err := ReadTrusted(1001, dir+"/file", 10)
	require.NoError(t, err)
	require.NoError(t, os.Chown(dir+"/file", 1001, 0))
	_, err = ReadTrusted(1001, dir+"/file", 10)
	require.NoError(t, err)
	_, err = ReadTrusted(1002, dir+"/file", 10)
	requireCode(t, code.DirectoryUnsafe, err)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func relink(dir, to string) error {
	return firstError(os.Remove(dir+"/sub/file"), os.Symlink(to, dir+"/sub/file"))
}

// replace puts dir/new, which was just made, in the file's place.
func replace(dir string, made error) error {
	return firstError(made, os.Remove(dir+"/sub/file"), os.Rename(dir+"/new", dir+"/sub/file"))
}

func grouped(path string, mode uint32) error {
	return firstError(os.Chown(path, -1, 1002), unix.Chmod(path, mode))
}
