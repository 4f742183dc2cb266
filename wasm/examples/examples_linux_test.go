//go:build amd64 || arm64

package examples

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/wasm"
)

func TestMain(m *testing.M) {
	wasm.RunWorker()
	os.Exit(m.Run())
}

// reply runs a module on an input, in both engines, and gives what it proposes.
func reply(t *testing.T, module []byte, in wasm.Input) wasm.Reply {
	t.Helper()
	m, err := wasm.Check(module)
	require.NoError(t, err)
	var first wasm.Reply
	for _, engine := range []wasm.Engine{wasm.Interpreter, wasm.Compiler} {
		result, err := wasm.Run(t.Context(), wasm.Hook{Name: "hook", Module: m}, in,
			wasm.Options{Worker: wasm.RunWorker(), Engine: engine, Deadline: 30 * time.Second})
		var got wasm.Reply
		if failed, ok := err.(*wasm.Error); ok && failed.Rejection != nil {
			got = wasm.Reply{V: 1, Reject: failed.Rejection}
		} else {
			require.NoError(t, err)
			got = result.Reply
		}
		if first.V == 0 {
			first = got
		}
		require.Equal(t, first, got)
	}
	return first
}

func module(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(name, name+".wasm"))
	require.NoError(t, err)
	require.Less(t, len(data), 1<<20)
	return data
}

// rows are what the three modules do.
func rows() map[string][]struct {
	in   wasm.Input
	want wasm.Reply
} {
	type row = struct {
		in   wasm.Input
		want wasm.Reply
	}
	config := func(key string, value any) map[string]any { return map[string]any{key: value} }
	pools := config("pools", map[string]any{"payments": "large", "default": "s\u00e4\"\\\n\U0001f600"})
	return map[string][]row{
		"region": {
			{wasm.Input{Config: config("zone", "eu")}, wasm.Reply{V: 1, Set: map[string]string{"APP_REGION": "eu"}}},
		},
		"pool": {
			{wasm.Input{Config: pools, Labels: map[string]string{"team": "payments"}}, wasm.Reply{V: 1, Set: map[string]string{"APP_POOL": "large"}, Unset: []string{"APP_DEBUG"}}},
			{wasm.Input{Config: pools, Labels: map[string]string{"team": "other.x"}}, wasm.Reply{V: 1, Set: map[string]string{"APP_POOL": "s\u00e4\"\\\n\U0001f600"}, Unset: []string{"APP_DEBUG"}, Warnings: []string{"the team has no pool of its own"}}},
		},
		"approval": {
			{wasm.Input{Version: "1.2.3", Labels: map[string]string{"approved": "1.2.3"}}, wasm.Reply{V: 1}},
			{wasm.Input{Version: "1.2.4", Labels: map[string]string{"approved": "1.2.3"}}, wasm.Reply{V: 1, Reject: &wasm.Rejection{Code: "not_approved", Message: "version 1.2.4 is not the approved one"}}},
			{wasm.Input{Version: "1.2.4"}, wasm.Reply{V: 1, Reject: &wasm.Rejection{Code: "not_approved", Message: "version 1.2.4 is not the approved one"}}},
		},
	}
}

func TestExamples(t *testing.T) {
	for name, list := range rows() {
		for _, r := range list {
			require.Equal(t, r.want, reply(t, module(t, name), r.in), name)
		}
	}
}

// The README's first hook is the module that is checked in.
func TestREADMEPinsTheExample(t *testing.T) {
	m, err := wasm.Check(module(t, "region"))
	require.NoError(t, err)
	text, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	require.Equal(t, 3, strings.Count(string(text), m.SHA256), "write %s into README.md", m.SHA256)
}

// clang is the compiler that made the modules, when it is here.
const clang = "Debian clang version 14.0.6"

// TestModulesAreOfTheirSources builds them again; another release of the compiler
// makes other bytes, which must do the same.
func TestModulesAreOfTheirSources(t *testing.T) {
	version := haveC(t)
	for name, list := range rows() {
		out := filepath.Join(t.TempDir(), name+".wasm")
		// A wasm-opt that stands on the path would have a part in it.
		run(t, ".", []string{"PATH=/usr/bin:/bin clang --target=wasm32-wasi -Os -s -Wall -Wextra -Werror -Istart/c -o " + out + " " + name + "/main.c"})
		built, err := os.ReadFile(out)
		require.NoError(t, err)
		if strings.HasPrefix(version, clang) {
			require.True(t, bytes.Equal(module(t, name), built), "%s/%s.wasm is not what its source makes", name, name)
		}
		for _, r := range list {
			require.Equal(t, r.want, reply(t, built, r.in), name)
		}
	}
}

func run(t *testing.T, dir string, lines []string) {
	t.Helper()
	for _, line := range lines {
		c := exec.Command("sh", "-ec", line)
		c.Dir = dir
		out, err := c.CombinedOutput()
		require.NoError(t, err, "%s\n%s", line, out)
	}
}

func haveC(t *testing.T) string {
	t.Helper()
	for _, need := range []string{"clang", "wasm-ld"} {
		if _, err := exec.LookPath(need); err != nil {
			t.Skipf("no %s; Debian has it in clang and lld", need)
		}
	}
	probe := exec.Command("clang", "--target=wasm32-wasi", "-x", "c", "-o", os.DevNull, "-")
	probe.Stdin = strings.NewReader("#include <stdio.h>\nint main(void) { return 0; }\n")
	if out, err := probe.CombinedOutput(); err != nil {
		t.Skipf("clang cannot build for WASI; Debian has wasi-libc and libclang-rt-dev-wasm32: %s", out)
	}
	version, err := exec.Command("clang", "--version").Output()
	require.NoError(t, err)
	return string(version)
}

func haveRust(t *testing.T) {
	t.Helper()
	dir, err := exec.Command("rustc", "--print", "target-libdir", "--target", "wasm32-wasip1").Output()
	if err == nil {
		_, err = os.Stat(strings.TrimSpace(string(dir)))
	}
	if err != nil {
		t.Skipf("no Rust with the target wasm32-wasip1 (rustup target add wasm32-wasip1): %v", err)
	}
}

// TestStart builds what hook init writes with the command that it prints, and
// demands the same of every language.
func TestStart(t *testing.T) {
	for _, l := range Languages() {
		t.Run(l.Name, func(t *testing.T) {
			build := l.Build
			switch l.Name {
			case "c":
				haveC(t)
			case "rust":
				haveRust(t)
			case "as":
				asc, err := exec.LookPath("asc")
				if err != nil {
					t.Skip("no asc; npm has it in assemblyscript")
				}
				build = []string{strings.Replace(build[0], "npx asc", asc, 1)}
			}
			dir := t.TempDir()
			files, err := Start(l.Name)
			require.NoError(t, err)
			for name, text := range files {
				require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
			}
			run(t, dir, build)
			data, err := os.ReadFile(filepath.Join(dir, "hook.wasm"))
			require.NoError(t, err)
			require.Less(t, len(data), 4<<20)
			in, err := wasm.ParseInput(files["input.json"])
			require.NoError(t, err)
			sets := func(zone string) wasm.Reply {
				return wasm.Reply{V: 1, Set: map[string]string{"APP_REGION": zone}}
			}
			require.Equal(t, sets("eu"), reply(t, data, in))
			// Escapes, and more than fits beside the program.
			odd := "\"\\/\b\f\n\r\t\u00e4\u20ac<&>\U0001f600"
			in.Config = map[string]any{"list": []any{1, true, nil, map[string]any{"zone": "]}"}}, "a\"b": "{", "zone": odd}
			in.Env = map[string]string{"LONG": strings.Repeat("x\"\\\u00fc", 6000)}
			require.Equal(t, sets(odd), reply(t, data, in))
			in.Labels = map[string]string{"maintenance": "yes"}
			require.Equal(t, &wasm.Rejection{Code: "maintenance", Message: "app is under maintenance"}, reply(t, data, in).Reject)
			require.Equal(t, []string{"config.zone is empty; the region is not set"}, reply(t, data, wasm.Input{Service: "app"}).Warnings)
		})
	}
	_, err := Start("cobol")
	require.ErrorIs(t, err, os.ErrNotExist)
}
