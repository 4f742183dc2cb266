package service

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/code"
)

func readGolden(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	return data
}

func TestParseEverything(t *testing.T) {
	d, err := Parse(readGolden(t, "redis.yaml"), YAML)
	require.NoError(t, err)
	idle, nice, oom := 45*time.Second, 5, -10
	require.Equal(t, &Definition{
		ServiceName: "redis", BinaryPath: "/usr/bin/redis-server", PerVersionBinaryDir: "/usr/bin",
		Isolation: PrivateBroker, MinVersion: "7.0.0", VersionAllowList: []string{"7.0.15"},
		Labels: map[string]string{"team": "data"},
		Launch: Launch{
			Args: []string{"--port", "0", "--unixsocket", "${endpoint}", "--save", ""},
			Dir:  "/", Env: map[string]string{"TZ": "UTC"}, PassEnv: []string{"LANG"}, Probe: ProbePeer,
			ReadyTimeout: 10 * time.Second, IdleTimeout: &idle, Argv0: "/usr/bin/redis-server",
			Settle: 20 * time.Millisecond, Stderr: StderrTail,
			Files: []File{{Name: "app.conf", Content: "listen ${endpoint}\n"}},
			Confine: Confine{
				NoNewPrivs: true, Umask: "0077", Nice: &nice, OOMScoreAdj: &oom, Cgroup: "a/b",
				DropCaps: DropCaps{Names: []string{"CAP_NET_RAW"}},
				Limits:   map[string]Limit{"nofile": {4096, 4096}, "nproc": {1, 2}},
				Landlock: &Landlock{Read: []string{"/etc"}},
			},
			Hooks: []Hook{{
				Name: "region", Path: "hooks/region.wasm",
				SHA256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
				Config: map[string]any{"zone": "eu", "n": int64(3), "f": 5.0, "deep": []any{nil, true, map[string]any{"a": "b"}}},
			}},
		},
	}, d)
}

func TestParseDefaults(t *testing.T) {
	for format, text := range map[Format]string{YAML: "service_name: redis\nbinary_path: /b\n", JSON: `{"service_name":"redis","binary_path":"/b"}`} {
		d, err := Parse([]byte(text), format)
		require.NoError(t, err)
		want := Defaults()
		want.ServiceName, want.BinaryPath, want.Launch.Argv0 = "redis", "/b", "/b"
		require.Equal(t, &want, d)
		require.Equal(t, 30*time.Second, *d.Launch.IdleTimeout)
	}
	d, err := Parse([]byte("service_name: redis\nlaunch: {idle_timeout: none}\n"), YAML)
	require.NoError(t, err)
	require.Nil(t, d.Launch.IdleTimeout)
	require.Empty(t, d.Launch.Argv0, "an empty binary path is for policy to deny")
}

// badTexts are refused; each error must hold the wanted text.
var badTexts = []struct{ name, format, text, want string }{
	{"empty", "yaml", "", "it is empty"},
	{"blank", "json", " \n ", "it is empty"},
	{"comments only", "yaml", "# nothing\n", "nothing but comments"},
	{"not utf-8", "yaml", "service_name: a\nlabels: {a: \"\xff\"}\n", "line 2: it is not valid UTF-8"},
	{"byte order mark", "json", "\ufeff{}", "byte order mark"},
	{"NUL byte", "yaml", "service_name: a\n\x00", "line 2: it holds a NUL byte"},
	{"NUL escape", "yaml", `service_name: a` + "\nlaunch:\n  args: [\"a\\0b\"]", "line 3: launch.args[0]: "},
	{"truncated yaml", "yaml", "service_name: redis\nlaunch: {args: [a", "did not find"},
	{"truncated json", "json", "{\"service_name\": \"redis\",\n\"launch\": {", "line 2: the JSON ends too early"},
	{"truncated json text", "json", "{\"service_name\": \"red", "the JSON ends too early"},
	{"bad json", "json", "{\n\"service_name\": redis}", "line 2: bad JSON"},
	{"json comment", "json", "{} // x", "something follows"},
	{"json trailing", "json", `{"service_name":"a"} {}`, "something follows"},
	{"json trailing bracket", "json", `{"service_name":"a"}}`, "something follows"},
	{"json surrogate", "json", `{"service_name":"a","labels":{"a":"\ud800"}}`, "surrogate"},
	{"two documents", "yaml", "service_name: a\n---\nservice_name: b\n", "line 2: a second document"},
	{"no mapping", "yaml", "- a\n", "must be a mapping, not a list"},
	{"no mapping json", "json", `"redis"`, "must be a mapping, not the text"},
	{"unknown field", "yaml", "service_name: a\nbinary_pth: /x\n", `line 2: there is no field "binary_pth" here; did you mean "binary_path"?`},
	{"unknown field json", "json", "{\"service_name\":\"a\",\n\"lunch\":{}}", `line 2: there is no field "lunch" here; did you mean "launch"?`},
	{"unknown nested field", "yaml", "service_name: a\nlaunch:\n  arg: []\n", `line 3: launch: there is no field "arg" here; did you mean "args"?`},
	{"v1 field in launch", "yaml", "service_name: a\nlaunch: {labels: {}}\n", `no field "labels" here`},
	{"field in other case", "yaml", "Service_name: a\n", `did you mean "service_name"?`},
	{"duplicate key", "yaml", "service_name: a\nlabels: {}\nservice_name: b\n", `line 3: "service_name" stands here a second time; the first is in line 1`},
	{"duplicate key json", "json", `{"service_name":"a","service_name":"a"}`, "a second time"},
	{"duplicate label", "yaml", "service_name: a\nlabels: {x: a, \"x\": b}\n", "a second time"},
	{"anchor", "yaml", "service_name: &x a\n", "anchors and aliases"},
	{"alias", "yaml", "service_name: a\nlabels: &x {a: b}\nlaunch: {env: *x}\n", "line 3: launch.env: anchors and aliases"},
	{"merge", "yaml", "service_name: a\nlabels: {<<: {a: b}}\n", "merge keys"},
	{"tag", "yaml", "service_name: !!str 1\n", "tags ('!')"},
	{"own tag", "yaml", "service_name: !secret a\n", "tags ('!')"},
	{"key is a list", "yaml", "service_name: a\nlabels: {[a]: b}\n", "a text as the name of an entry"},
	{"key is a number", "yaml", "service_name: a\nlabels: {1: b}\n", `write it in quotes: "1"`},
	{"number for text", "yaml", "service_name: a\nmin_version: 7.0\n", `line 2: min_version: this must be a text, not the number 7.0; write it in quotes: "7.0"`},
	{"truth for text", "yaml", "service_name: a\nlabels: {a: true}\n", `labels.a: this must be a text, not the truth value true; write it in quotes: "true"`},
	{"nothing for text", "yaml", "service_name: a\nmin_version:\n", `write "" for an empty text`},
	{"null for text", "yaml", "service_name: a\nlaunch: {stderr: null}\n", `write it in quotes: "null"`},
	{"list for text", "json", `{"service_name":["a"]}`, "must be a text, not a list"},
	{"text for list", "yaml", "service_name: a\nlaunch: {args: --port 0}\n", "must be a list"},
	{"text for mapping", "yaml", "service_name: a\nlaunch: {env: A=b}\n", "must be a mapping"},
	{"number for duration", "yaml", "service_name: a\nlaunch: {ready_timeout: 10}\n", "a length of time such as 10s"},
	{"bad duration", "yaml", "service_name: a\nlaunch: {ready_timeout: ten}\n", "a length of time such as 10s"},
	{"zero duration", "yaml", "service_name: a\nlaunch: {settle: 0s}\n", "not more than nothing"},
	{"negative duration", "yaml", "service_name: a\nlaunch: {settle: -1s}\n", "not more than nothing"},
	{"long ready timeout", "yaml", "service_name: a\nlaunch: {ready_timeout: 61s}\n", "launch.ready_timeout: 1m1s"},
	{"fraction of a second idle", "yaml", "service_name: a\nlaunch: {idle_timeout: 1500ms}\n", "whole seconds"},
	{"fraction of a millisecond", "yaml", "service_name: a\nlaunch: {settle: 1500us}\n", "whole milliseconds"},
	{"upper-case name", "yaml", "service_name: Redis\n", `upper-case letters, which would collide on case-insensitive systems; write "redis"`},
	{"no name", "yaml", "binary_path: /x\n", "service_name: the name is empty"},
	{"relative binary", "yaml", "service_name: a\nbinary_path: bin/x\n", "line 2: binary_path: \"bin/x\" is not an absolute path"},
	{"relative root", "yaml", "service_name: a\nper_version_binary_dir: bin\n", "per_version_binary_dir"},
	{"long path", "yaml", "service_name: a\nbinary_path: /" + strings.Repeat("a", 4095) + "\n", "4096 bytes long; the limit is 4095"},
	{"isolation", "yaml", "service_name: a\nisolation: private\n", "is not an isolation"},
	{"explicit without name", "yaml", "service_name: a\nisolation: EXPLICIT_INSTANCE\n", "needs the name of the instance"},
	{"explicit bad name", "yaml", "service_name: a\nisolation: EXPLICIT_INSTANCE\nexplicit_instance: A\n", "line 3: explicit_instance"},
	{"name without explicit", "yaml", "service_name: a\nexplicit_instance: b\n", "isolation is PRIVATE_BROKER"},
	{"min version", "yaml", "service_name: a\nmin_version: \"1.0\"\n", "MAJOR.MINOR.PATCH"},
	{"listed version", "yaml", "service_name: a\nversion_allow_list: [1.0.0, 01.0.0]\n", "version_allow_list[1]"},
	{"probe", "yaml", "service_name: a\nlaunch: {probe: tcp}\n", "is not a probe"},
	{"relative dir", "yaml", "service_name: a\nlaunch: {dir: x}\n", "launch.dir"},
	{"dir is a name of no directory", "yaml", "service_name: a\nlaunch: {dir: \"${run_dir}x\"}\n", "launch.dir"},
	{"relative argv0", "yaml", "service_name: a\nlaunch: {argv0: redis-server}\n", "launch.argv0"},
	{"stderr", "yaml", "service_name: a\nlaunch: {stderr: err.log}\n", "launch.stderr"},
	{"unknown template", "yaml", "service_name: a\nlaunch:\n  args:\n    - \"${endpont}\"\n", "line 4: launch.args[0]: ${endpont}"},
	{"lone dollar", "yaml", "service_name: a\nlaunch: {env: {A: $HOME}}\n", "write $$ for a dollar sign"},
	{"template in file", "yaml", "service_name: a\nlaunch: {files: [{name: a, content: $x}]}\n", "launch.files[0].content"},
	{"env name", "yaml", "service_name: a\nlaunch: {env: {1A: b}}\n", "not the name of a variable"},
	{"env name with =", "yaml", "service_name: a\nlaunch: {env: {A=B: b}}\n", "not the name of a variable"},
	{"pass_env name", "yaml", "service_name: a\nlaunch: {pass_env: [LC_*]}\n", "not the name of a variable"},
	{"pass_env twice", "yaml", "service_name: a\nlaunch: {pass_env: [A, A]}\n", "listed twice"},
	{"file with slash", "yaml", "service_name: a\nlaunch: {files: [{name: ../x, content: \"\"}]}\n", "single path component"},
	{"file dot", "yaml", "service_name: a\nlaunch: {files: [{name: .}]}\n", "single path component"},
	{"file dots", "yaml", "service_name: a\nlaunch: {files: [{name: ..}]}\n", "single path component"},
	{"file without name", "yaml", "service_name: a\nlaunch: {files: [{content: x}]}\n", "needs a name"},
	{"file twice", "yaml", "service_name: a\nlaunch: {files: [{name: a}, {name: a}]}\n", "listed twice"},
	{"hook digest", "yaml", "service_name: a\nlaunch: {hooks: [{name: a, path: a.wasm, sha256: abc}]}\n", "64 lower-case"},
	{"hook path", "yaml", "service_name: a\nlaunch: {hooks: [{name: a, path: ../a.wasm}]}\n", "hooks[0].path"},
	{"umask number", "yaml", "service_name: a\nlaunch: {confine: {umask: 0077}}\n", `write it in quotes: "0077"`},
	{"nice", "yaml", "service_name: a\nlaunch: {confine: {nice: 20}}\n", "between -20 and 19"},
	{"limit name", "yaml", "service_name: a\nlaunch: {confine: {limits: {nofiles: 1}}}\n", `did you mean "nofile"?`},
	{"negative limit", "yaml", "service_name: a\nlaunch: {confine: {limits: {nofile: -1}}}\n", "whole number"},
	{"half a limit", "yaml", "service_name: a\nlaunch: {confine: {limits: {nofile: {soft: 1}}}}\n", "both soft and hard"},
	{"crossed limit", "yaml", "service_name: a\nlaunch: {confine: {limits: {nofile: {soft: 2, hard: 1}}}}\n", "above hard"},
	{"landlock left empty", "yaml", "service_name: a\nlaunch: {confine: {landlock: }}\n", "launch.confine.landlock: this must be a mapping, not nothing"},
	{"capability", "yaml", "service_name: a\nlaunch: {confine: {drop_caps: [net_raw]}}\n", "not a capability"},
	{"capabilities some", "yaml", "service_name: a\nlaunch: {confine: {drop_caps: some}}\n", "or the word all"},
	{"deep json", "json", `{"service_name":"a","launch":{"hooks":[{"config":{"a":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}}]}}`, "nested deeper"},
	{"deep yaml", "yaml", "service_name: a\nlaunch: {hooks: [{config: {a: " + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "}}]}", "nested deeper"},
	{"very deep json", "json", strings.Repeat("[", 500000), "nested deeper"},
	{"very deep yaml", "yaml", strings.Repeat("[", 500000), "depth"},
	{"many values", "yaml", "service_name: a\nversion_allow_list: [" + strings.Repeat("a,", 60000) + "]", "more than 50000 values"},
	{"many values json", "json", "[" + strings.Repeat("1,", 60000) + "1]", "more than 50000 values"},
	{"oversized", "yaml", "service_name: a\n#" + strings.Repeat("x", MaxBytes), "larger than 1048576"},
	{"unknown format", "toml", "a", "is not a format"},
}

func TestParseRefuses(t *testing.T) {
	for _, c := range badTexts {
		t.Run(c.name, func(t *testing.T) {
			d, err := Parse([]byte(c.text), Format(c.format))
			require.Nil(t, d)
			require.ErrorContains(t, err, c.want)
			got, _ := code.Of(err)
			require.Equal(t, code.ServiceInvalid, got)
		})
	}
}

func TestParseListsEveryProblem(t *testing.T) {
	_, err := Parse([]byte("service_name: A\nmin_version: x\nlaunch:\n  args: [$a]\n  probe: x\n"), YAML)
	for _, want := range []string{"line 1: service_name", "line 2: min_version", "line 4: launch.args[0]", "line 5: launch.probe"} {
		require.ErrorContains(t, err, want)
	}
	_, err = Parse([]byte("service_name: a\nversion_allow_list: ["+strings.Repeat("x,", 100)+"]\n"), YAML)
	require.ErrorContains(t, err, "and 80 more")
}

func TestJSONIsReadAsYAMLIs(t *testing.T) {
	want, err := Parse(readGolden(t, "redis.yaml"), YAML)
	require.NoError(t, err)
	text, err := Marshal(want, JSON)
	require.NoError(t, err)
	got, err := Parse(text, JSON)
	require.NoError(t, err)
	require.Equal(t, want, got)
}
