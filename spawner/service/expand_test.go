package service

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func vars() Vars {
	return Vars{Endpoint: "/r/e.sock", EndpointDir: "/r", RunDir: "/run/x", Service: "redis", Version: "7.0.15", Instance: "private:redis"}
}

func TestExpand(t *testing.T) {
	for in, want := range map[string]string{
		"":                              "",
		"plain":                         "plain",
		"${endpoint}":                   "/r/e.sock",
		"unix:${endpoint};":             "unix:/r/e.sock;",
		"${endpoint_dir}${run_dir}":     "/r/run/x",
		"${service}@${version}":         "redis@7.0.15",
		"${instance}":                   "private:redis",
		"$$":                            "$",
		"$$$$":                          "$$",
		"$${endpoint}":                  "${endpoint}",
		"$$${endpoint}":                 "$/r/e.sock",
		"proxy_set_header Host $$host;": "proxy_set_header Host $host;",
	} {
		got, err := Expand(in, vars())
		require.NoError(t, err, in)
		require.Equal(t, want, got)
	}
	for in, want := range map[string]string{
		"$":                 "byte 1 begins no name",
		"a$":                "byte 2 begins no name",
		"ab$host":           "byte 3 begins no name",
		"${":                "begins no name",
		"${endpoint":        "begins no name",
		"${}":               "not a name",
		"${ endpoint}":      "not a name",
		"${ENDPOINT}":       "not a name",
		"$(endpoint)":       "begins no name",
		"$$$":               "byte 3 begins no name",
		"${endpoint:-/tmp}": "not a name",
		"x ${HOME} y":       "byte 3 is not a name",
	} {
		_, err := Expand(in, vars())
		require.ErrorContains(t, err, want, in)
	}
}

func TestExpandIsNotRepeated(t *testing.T) {
	got, err := Expand("${service}", Vars{Service: "${endpoint}$$"})
	require.NoError(t, err)
	require.Equal(t, "${endpoint}$$", got)
}

func TestExpandWithoutValue(t *testing.T) {
	_, err := Expand("${endpoint}", Vars{})
	require.ErrorContains(t, err, "has no value")
}

func TestExpandDefinition(t *testing.T) {
	d := Defaults()
	d.Launch.Args = []string{"-s", "${endpoint}", "$$x"}
	d.Launch.Env = map[string]string{"A": "${version}"}
	d.Launch.Dir = "${run_dir}/w"
	d.Launch.Files = []File{{Name: "a.conf", Content: "listen ${endpoint}\n"}}
	e, err := d.Expand(vars())
	require.NoError(t, err)
	require.Equal(t, Expanded{
		Args: []string{"-s", "/r/e.sock", "$x"}, Dir: "/run/x/w", Env: map[string]string{"A": "7.0.15"},
		Files: []File{{Name: "a.conf", Content: "listen /r/e.sock\n"}},
	}, e)
	require.Equal(t, "listen ${endpoint}\n", d.Launch.Files[0].Content, "the definition is left as it is")
	for name, want := range map[string]bool{"endpoint": true, "run_dir": true, "version": true, "service": false, "instance": false, "endpoint_dir": false} {
		require.Equal(t, want, d.Uses(name), name)
	}

	_, err = d.Expand(Vars{Endpoint: "/e", Version: "1.0.0", RunDir: "relative"})
	require.ErrorContains(t, err, "launch.dir")
	_, err = d.Expand(Vars{RunDir: "/r"})
	for _, field := range []string{"launch.args[1]", "launch.env.A", "launch.files[0].content"} {
		require.ErrorContains(t, err, field)
	}
}
