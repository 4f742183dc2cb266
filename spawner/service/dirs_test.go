package service

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUserDir(t *testing.T) {
	for _, c := range []struct {
		goos, want string
		env        map[string]string
	}{
		{"linux", "/s", map[string]string{"RUNNING_PROCESS_SERVICE_DEF_DIR": "/s", "XDG_CONFIG_HOME": "/x", "HOME": "/h"}},
		{"linux", "/x/running-process/services", map[string]string{"XDG_CONFIG_HOME": "/x", "HOME": "/h"}},
		{"linux", "/h/.config/running-process/services", map[string]string{"XDG_CONFIG_HOME": "x", "HOME": "/h"}},
		{"linux", "/h/.config/running-process/services", map[string]string{"HOME": "/h"}},
		{"linux", "/passwd/.config/running-process/services", map[string]string{}},
		{"linux", "/passwd/.config/running-process/services", map[string]string{"HOME": "h"}},
		{"darwin", "/h/Library/Application Support/running-process/services", map[string]string{"HOME": "/h", "XDG_CONFIG_HOME": "/x"}},
		{"darwin", "/s", map[string]string{"RUNNING_PROCESS_SERVICE_DEF_DIR": "/s", "HOME": "/h"}},
		{"windows", "/a/running-process/services", map[string]string{"APPDATA": "/a", "HOME": "/h"}},
		{"windows", "", map[string]string{"HOME": "/h"}},
	} {
		env := func(name string) string { return c.env[name] }
		fromPasswd := func(env func(string) string) string {
			if h := env("HOME"); filepath.IsAbs(h) {
				return h
			}
			return "/passwd"
		}
		require.Equal(t, filepath.FromSlash(c.want), userDir(c.goos, env, fromPasswd), "%v", c)
	}
	require.Empty(t, userDir("linux", func(string) string { return "" }, func(func(string) string) string { return "" }))
}

func TestDefaultDirs(t *testing.T) {
	env := func(name string) string { return map[string]string{EnvServicesDir: "/env", "HOME": "/h"}[name] }
	require.Equal(t, "/flag", DefaultDirs(env, "/flag").User)
	require.Equal(t, "/env", DefaultDirs(env, "").User)
	require.True(t, filepath.IsAbs(DefaultDirs(env, "relative").User))
	require.Equal(t, 0, DefaultDirs(env, "").SystemUID)
}
