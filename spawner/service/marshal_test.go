package service

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMarshalYAMLIsForPeople(t *testing.T) {
	d, err := Parse(readGolden(t, "redis.yaml"), YAML)
	require.NoError(t, err)
	got, err := Marshal(d, YAML)
	require.NoError(t, err)
	require.Equal(t, string(readGolden(t, "redis-written.yaml")), string(got))
}

func TestMarshalOmitsDefaults(t *testing.T) {
	d := Defaults()
	d.ServiceName = "a"
	got, err := Marshal(&d, YAML)
	require.NoError(t, err)
	require.Equal(t, "service_name: a\n", string(got))
	got, err = Marshal(&d, JSON)
	require.NoError(t, err)
	require.Equal(t, "{\n  \"service_name\": \"a\"\n}\n", string(got))
	require.Empty(t, Dropped(&d))
}

func TestMarshalRefusesWhatParseRefuses(t *testing.T) {
	for _, change := range []func(*Definition){
		func(d *Definition) { d.ServiceName = "A" },
		func(d *Definition) { d.BinaryPath = "x" },
		func(d *Definition) { d.BinaryPath = "/\x00" },
		func(d *Definition) { d.Labels = map[string]string{"\xff": ""} },
		func(d *Definition) { d.Launch.Args = []string{"\xff"} },
		func(d *Definition) { d.Launch.Args = make([]string, maxArgs+1) },
		func(d *Definition) { d.Launch.Hooks = []Hook{hook(map[string]any{"a": 1})} },
		func(d *Definition) { d.Launch.Hooks = []Hook{hook(map[string]any{"a": "\xff"})} },
		func(d *Definition) { idle := time.Millisecond; d.Launch.IdleTimeout = &idle },
		func(d *Definition) {
			d.Launch.Files = []File{{Name: "a", Content: strings.Repeat("a", MaxBytes)}}
		},
	} {
		d := Defaults()
		d.ServiceName = "a"
		change(&d)
		require.Error(t, d.Validate())
		for _, f := range []Format{YAML, JSON, ServiceDef} {
			_, err := Marshal(&d, f)
			require.Error(t, err)
		}
		_, err := New(&d, SourceLibrary)
		require.Error(t, err)
	}
}

func hook(config map[string]any) Hook {
	return Hook{Name: "h", Path: "h.wasm", SHA256: strings.Repeat("a", 64), Config: config}
}

func TestDropped(t *testing.T) {
	d, err := Parse(readGolden(t, "redis.yaml"), YAML)
	require.NoError(t, err)
	require.Equal(t, []string{"launch.args", "launch.env", "launch.pass_env", "launch.probe", "launch.idle_timeout",
		"launch.stderr", "launch.files", "launch.confine", "launch.hooks"}, Dropped(d))
}

func TestCanonical(t *testing.T) {
	d := Definition{ServiceName: "a", BinaryPath: "/b<&>"}
	n := d
	n.Normalize()
	const want = `{"binary_path":"/b<&>","explicit_instance":"","isolation":"PRIVATE_BROKER","labels":{},"launch":{"args":[],"argv0":"/b<&>",` +
		`"confine":{"cgroup":"","drop_caps":[],"landlock":null,"limits":{},"nice":null,"no_new_privs":false,"oom_score_adj":null,"umask":""},` +
		`"dir":"/","env":{},"files":[],"hooks":[],"idle_timeout":"none","pass_env":[],"probe":"identity","ready_timeout":"10s","settle":"20ms","stderr":"null"},` +
		`"min_version":"","per_version_binary_dir":"","service_name":"a","version_allow_list":[]}`
	require.Equal(t, want, string(Canonical(&d)))
	require.Equal(t, want, string(Canonical(&n)), "the same with its defaults filled in")
	require.Empty(t, d.Isolation, "the definition is left as it is")
	require.True(t, json.Valid(Canonical(&d)))
	b, err := json.Marshal(struct{ D Definition }{d})
	require.NoError(t, err)
	require.JSONEq(t, `{"D":`+want+`}`, string(b))
}

func TestNewCopies(t *testing.T) {
	d := Defaults()
	d.ServiceName, d.Labels = "a", map[string]string{"team": "data"}
	l, err := New(&d, SourceLibrary)
	require.NoError(t, err)
	require.Equal(t, digest(Canonical(&d)), l.SHA256)
	require.Equal(t, &d, l.Definition)
	d.Labels["team"], *d.Launch.IdleTimeout = "other", time.Hour
	require.Equal(t, "data", l.Definition.Labels["team"])
	require.Equal(t, DefaultIdleTimeout, *l.Definition.Launch.IdleTimeout)
}

func TestFacts(t *testing.T) {
	l, err := New(&Definition{ServiceName: "a", BinaryPath: "/x/prog"}, SourceFlags)
	require.NoError(t, err)
	f := Facts(l)
	require.Equal(t, "flags", f.Source)
	require.Equal(t, "prog", f.Launch.Comm)
	require.Equal(t, int64(10000), f.Launch.ReadyTimeoutMS)
	require.Equal(t, int64(20), f.Launch.SettleMS)
	require.Nil(t, f.Launch.IdleTimeoutSecs)
	require.Len(t, f.SHA256, 64)
	b, err := json.Marshal(f)
	require.NoError(t, err)
	require.Contains(t, string(b), `"version_allow_list":[],"labels":{}`)
	require.Contains(t, string(b), `"pass_env":[]`)

	d := Defaults()
	d.ServiceName = "a"
	l, err = New(&d, SourceLibrary)
	require.NoError(t, err)
	require.Equal(t, int64(30), *Facts(l).Launch.IdleTimeoutSecs)
	require.Empty(t, Facts(l).Launch.Comm)
}

// TestRoundTrip writes and reads generated definitions, whose texts are made of
// what is hard to write down.
func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 600 {
		d := randomDefinition(r)
		require.NoError(t, d.Validate())
		requireRoundTrip(t, &d)
	}
}

func requireRoundTrip(t *testing.T, d *Definition) {
	t.Helper()
	want := string(Canonical(d))
	for _, f := range []Format{YAML, JSON} {
		text, err := Marshal(d, f)
		require.NoError(t, err)
		if len(text) > MaxBytes {
			continue // indentation can take it over the limit
		}
		got, err := Parse(text, f)
		require.NoError(t, err, "%s", text)
		require.Equal(t, want, string(Canonical(got)), "%s", text)
	}
	if len(want) <= MaxBytes {
		got, err := Parse([]byte(want), JSON)
		require.NoError(t, err)
		require.Equal(t, want, string(Canonical(got)))
	}
	data, err := Marshal(d, ServiceDef)
	require.NoError(t, err)
	got, err := Parse(data, ServiceDef)
	require.NoError(t, err)
	kept := *d
	kept.Launch = Defaults().Launch
	kept.Launch.Argv0 = ""
	require.Equal(t, string(Canonical(&kept)), string(Canonical(got)))
}

func randomDefinition(r *rand.Rand) Definition {
	d := Defaults()
	d.ServiceName = pick(r, "a", "redis", "0", "-", "1-0")
	d.BinaryPath = pick(r, "", "/x", "/"+randomText(r))
	d.PerVersionBinaryDir = pick(r, "", "/", "/"+randomText(r))
	d.MinVersion = pick(r, "", "1.2.3", "0.0.0-0")
	d.VersionAllowList = pick(r, nil, []string{"1.0.0"}, []string{"1.0.0", "2.0.0-rc.1"})
	if d.Isolation = pick(r, PrivateBroker, SharedBroker, ExplicitInstance); d.Isolation == ExplicitInstance {
		d.ExplicitInstance = pick(r, "0", "no", "null")
	}
	d.Labels = map[string]string{pick(r, "a", "0", "~", "<<", "true", "a: b", "é", "\u2028", "#"): randomText(r)}
	l := &d.Launch
	for range r.IntN(4) {
		l.Args = append(l.Args, randomText(r))
		l.Files = append(l.Files, File{Name: pick(r, "a", "b", "c", "d") + string(rune('0'+len(l.Files))), Content: randomText(r)})
	}
	l.Env = map[string]string{"A": randomText(r), "null": randomText(r)}
	l.Dir = pick(r, "/", "/tmp", "${run_dir}/x")
	l.Probe = pick(r, ProbeIdentity, ProbePeer, ProbeNotify)
	l.ReadyTimeout = time.Duration(1+r.IntN(60000)) * time.Millisecond
	l.Settle = pick(r, DefaultSettle, time.Minute, time.Millisecond)
	idle := time.Duration(1+r.Int64N(1<<32-1)) * time.Second
	l.IdleTimeout = pick(r, nil, &idle)
	l.Argv0 = pick(r, "", "/"+randomText(r)+"/name")
	l.Stderr = pick(r, StderrNull, StderrTail, "/x")
	nice := r.IntN(40) - 20
	l.Confine = Confine{NoNewPrivs: r.IntN(2) == 0, Umask: pick(r, "", "0077", "022"), Nice: pick(r, nil, &nice),
		DropCaps: pick(r, DropCaps{}, DropCaps{All: true}, DropCaps{Names: []string{"CAP_BPF"}}),
		Limits:   map[string]Limit{"nofile": {r.Uint64() >> 1, 1<<64 - 1}}, Landlock: pick(r, nil, &Landlock{}, &Landlock{Exec: []string{"/"}})}
	l.Hooks = []Hook{hook(map[string]any{randomText(r): randomText(r), "n": r.Int64(), "f": r.NormFloat64() * 1e9, "w": 5.0, "z": nil, "b": true,
		"l": []any{"", int64(-1), []any{}, map[string]any{}}})}
	d.Normalize()
	return d
}

func pick[T any](r *rand.Rand, choices ...T) T { return choices[r.IntN(len(choices))] }

func randomText(r *rand.Rand) string {
	parts := []string{"", " ", "\n", "\t", "\r", "\"", "'", "\\", ":", ": ", "#", " #", "-", "- ", "?", "|", ">", "%", "@", "`", "&a", "*a", "!t",
		"{", "}", "[", "]", ",", "null", "~", "true", "no", "0", "0x1f", "1_000", "1e3", ".5", ".inf", "2001-01-01", "<<", "---", "...", "\n---\n",
		"$$", "${endpoint}", "é", "漢", "😀", "\u0085", "\u2028", "\u2029", "\ufeff", "\ufffd", "\u200b", "\x01", "\x7f", "a", "word", "  x\n y\n", "long " + strings.Repeat("text ", 30)}
	var b strings.Builder
	for range r.IntN(6) {
		b.WriteString(pick(r, parts...))
	}
	return b.String()
}
