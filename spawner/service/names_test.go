package service

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/nearest"
)

func TestValidName(t *testing.T) {
	for _, name := range []string{"a", "redis", "redis-7", "0", "-", strings.Repeat("a", 64)} {
		require.NoError(t, ValidName(name), name)
	}
	for name, want := range map[string]string{
		"":                      "empty",
		strings.Repeat("a", 65): "65 bytes",
		"Redis":                 "upper-case",
		"a_b":                   "'_'",
		"a/b":                   "'/'",
		"..":                    "'.'",
		"é":                     "'é'",
		"a\x00":                 `'\x00'`,
	} {
		require.ErrorContains(t, ValidName(name), want, "%q", name)
	}
}

func TestValidVersion(t *testing.T) {
	for _, v := range []string{"0.0.0", "1.2.3", "7.0.15", "1.2.3-rc.1", "1.2.3-0", "1.2.3-0a", "1.2.3-01a", "10.20.30-x.0.y"} {
		require.NoError(t, ValidVersion(v), v)
	}
	for v, want := range map[string]string{
		"":                                 "is empty",
		"1":                                "MAJOR.MINOR.PATCH",
		"1.2":                              "MAJOR.MINOR.PATCH",
		"1.2.3.4":                          "MAJOR.MINOR.PATCH",
		"v1.2.3":                           "three numbers",
		"1..3":                             "three numbers",
		"1.2.":                             "three numbers",
		" 1.2.3":                           "three numbers",
		"1.2.3\n":                          "three numbers",
		"01.2.3":                           "leading zero",
		"1.02.3":                           "leading zero",
		"1.2.00":                           "leading zero",
		"1.2.3-":                           "empty identifier",
		"1.2.3-a..b":                       "empty identifier",
		"1.2.3-a.":                         "empty identifier",
		"1.2.3-01":                         "leading zero after",
		"1.2.3-RC1":                        "characters other than",
		"1.2.3-a-b":                        "characters other than",
		"1.2.3+b1":                         "build tag",
		"1.2.3-" + strings.Repeat("a", 64): "longer than",
	} {
		require.ErrorContains(t, ValidVersion(v), want, "%q", v)
	}
}

func TestInstanceID(t *testing.T) {
	d := Definition{ServiceName: "redis", Isolation: PrivateBroker}
	require.Equal(t, "private:redis", InstanceID(&d))
	d.Isolation = SharedBroker
	require.Equal(t, "shared", InstanceID(&d))
	d.Isolation, d.ExplicitInstance = ExplicitInstance, "blue"
	require.Equal(t, "explicit:blue", InstanceID(&d))
}

func TestParseRef(t *testing.T) {
	name, version, err := ParseRef("redis@7.0.15")
	require.NoError(t, err)
	require.Equal(t, [2]string{"redis", "7.0.15"}, [2]string{name, version})
	name, version, err = ParseRef("redis")
	require.NoError(t, err)
	require.Equal(t, [2]string{"redis", ""}, [2]string{name, version})
	for ref, want := range map[string]code.Code{
		"":              code.ServiceNameInvalid,
		"@1.2.3":        code.ServiceNameInvalid,
		"Redis@1.2.3":   code.ServiceNameInvalid,
		"redis@":        code.VersionInvalid,
		"redis@1":       code.VersionInvalid,
		"redis@1.2.3@4": code.VersionInvalid,
	} {
		_, _, err := ParseRef(ref)
		got, _ := code.Of(err)
		require.Equal(t, want, got, ref)
	}
}

func TestOnlyVersion(t *testing.T) {
	d := Definition{ServiceName: "redis"}
	_, err := d.OnlyVersion()
	require.ErrorContains(t, err, "redis@VERSION")
	d.VersionAllowList = []string{"1.2.3"}
	v, err := d.OnlyVersion()
	require.NoError(t, err)
	require.Equal(t, "1.2.3", v)
	d.VersionAllowList = []string{"1.2.3", "1.2.4"}
	_, err = d.OnlyVersion()
	require.ErrorContains(t, err, "redis@1.2.3, redis@1.2.4")
}

func TestSuggest(t *testing.T) {
	known := []string{"binary_path", "labels", "launch"}
	require.Contains(t, nearest.Hint("binary_pth", known), `"binary_path"`)
	require.Contains(t, nearest.Hint("label", known), `"labels"`)
	require.Empty(t, nearest.Hint("zzzz", known))
	require.Empty(t, nearest.Hint(strings.Repeat("x", 1<<20), known))
}
