package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/policy"
	"github.com/spawnward/spawnward/spawner"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/service"
	"github.com/spawnward/spawnward/wasm"
)

// hooked is a bench with a service that has hooks, and a site that lists them.
type hooked struct {
	*bench
	site, binary, root string
	launch             string // lines of the definition below launch
	hooks              []string
	allow              []string
	config             string
}

func newHooked(t *testing.T) *hooked {
	t.Helper()
	h := &hooked{bench: newBench(t), site: filepath.Join(t.TempDir(), "site")}
	h.binary, h.root = h.backend()
	require.NoError(t, os.Mkdir(h.site, 0o700))
	require.NoError(t, os.Mkdir(h.state, 0o700))
	require.NoError(t, os.Mkdir(filepath.Join(h.services, "hooks"), 0o700))
	return h
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// example is one of the modules that are checked in.
func example(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("../../wasm/examples/" + name + "/" + name + ".wasm")
	require.NoError(t, err)
	return data
}

// add puts a module beside the definition and lists it.
func (h *hooked) add(name, config, mayTouch string, module []byte) {
	h.t.Helper()
	require.NoError(h.t, os.WriteFile(filepath.Join(h.services, "hooks", name+".wasm"), module, 0o600))
	h.hooks = append(h.hooks, fmt.Sprintf("{name: %s, path: hooks/%s.wasm, sha256: %s, config: %s}", name, name, digestOf(module), config))
	h.allow = append(h.allow, fmt.Sprintf("%s: {sha256: %s, may_touch: [%s]}", name, digestOf(module), mayTouch))
}

func (h *hooked) write() {
	h.t.Helper()
	definition := fmt.Sprintf("service_name: app\nbinary_path: %s\nper_version_binary_dir: %s\nversion_allow_list: [1.0.0]\nlabels: {team: payments}\n"+
		"launch:\n  args: [scripted-backend, good]\n%s  hooks: [%s]\n", h.binary, h.root, h.launch, strings.Join(h.hooks, ", "))
	require.NoError(h.t, os.WriteFile(filepath.Join(h.services, "app.yaml"), []byte(definition), 0o600))
	data := fmt.Sprintf("config:\n%s  services: {app: {hooks: {allow: {%s}}}}\n", h.config, strings.Join(h.allow, ", "))
	require.NoError(h.t, os.WriteFile(filepath.Join(h.site, "data.yaml"), []byte(data), 0o600))
}

// args gives hooks the time that a busy machine needs.
func (h *hooked) args(verb string, more ...string) []string {
	return append([]string{verb, "--policy", h.site, "--hook-deadline", "30s"}, append(more, "app")...)
}

// denied demands that launch and check deny with a code, and that nothing is
// started or left; it returns what launch printed.
func (h *hooked) denied(want code.Code, more ...string) string {
	h.t.Helper()
	var printed string
	for _, verb := range []string{"check", "launch"} {
		c := h.cmd(h.args(verb, append([]string{"-o", "json"}, more...)...)...)
		out, err := c.Output()
		var exit *exec.ExitError
		require.ErrorAs(h.t, err, &exit, "%s", out)
		require.Equal(h.t, code.ExitDenied, exit.ExitCode(), "%s", out)
		matches(h.t, verb, out)
		var r spawner.Report
		require.NoError(h.t, json.Unmarshal(out, &r))
		require.Equal(h.t, spawner.Denied, r.Outcome)
		require.Equal(h.t, want, r.Error.Code, "%s", out)
		require.Nil(h.t, r.Identity)
		harmless(h.t, out)
		text, err := h.cmd(h.args(verb, more...)...).CombinedOutput()
		require.Error(h.t, err)
		harmless(h.t, text)
		printed = string(text)
	}
	h.empty()
	return printed
}

// harmless demands that nothing can steer a terminal.
func harmless(t *testing.T, out []byte) {
	t.Helper()
	for _, c := range string(out) {
		require.True(t, c == '\n' || c >= ' ' && c < 0x7f, "%q", out)
	}
}

func TestHooksShapeTheEnvironment(t *testing.T) {
	h := newHooked(t)
	h.launch = "  env: {APP_DEBUG: '1', APP_REGION: us}\n"
	h.add("region", "{zone: eu}", "APP_REGION", example(t, "region"))
	h.add("pool", "{pools: {payments: large}}", `"APP_*"`, example(t, "pool"))
	h.write()

	text := string(h.ok(h.args("check")...))
	require.Regexp(t, `APP_REGION +hook:region\n`, text)
	require.Regexp(t, `APP_POOL +hook:pool\n`, text)
	require.Regexp(t, `APP_DEBUG +unset by hook:pool\n`, text)
	require.Regexp(t, `PATH +baseline\n`, text)
	require.Regexp(t, `Hooks\n +region +ran +sha256 [0-9a-f]{64}\n +pool +ran`, text)
	require.NotContains(t, text, "large", "values are masked")
	require.Regexp(t, `APP_POOL +hook:pool  "large"\n`, string(h.ok(h.args("check", "--show-values")...)))
	out := h.ok(h.args("check", "-o", "json")...)
	matches(t, "check", out)
	require.NotContains(t, string(out), `"large"`)
	out = h.ok(h.args("check", "-o", "json", "--show-values")...)
	matches(t, "check", out)
	require.Contains(t, string(out), `"large"`)
	h.empty()

	out = h.ok(h.args("launch", "-o", "json")...)
	matches(t, "launch", out)
	var r spawner.Report
	require.NoError(t, json.Unmarshal(out, &r))
	require.Equal(t, []string{"region", "pool"}, r.Decision.Obligations.Hooks)
	require.Positive(t, r.Timings.Shape)
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", r.Identity.PID))
	require.NoError(t, err)
	vars := strings.Split(string(environ), "\x00")
	require.Subset(t, vars, []string{"APP_REGION=eu", "APP_POOL=large"})
	require.NotContains(t, vars, "APP_DEBUG=1")

	// Hooks do not run for a backend that runs already.
	out = h.ok(h.args("launch", "-o", "json")...)
	var again spawner.Report
	require.NoError(t, json.Unmarshal(out, &again))
	require.Equal(t, r.Identity.PID, again.Identity.PID, "%s", out)
	require.Zero(t, again.Timings.Shape)
	h.ok("stop", "app")
}

func TestHooksAreDenied(t *testing.T) {
	region := example(t, "region")
	for name, c := range map[string]struct {
		want   code.Code
		part   string
		spoil  func(*hooked)
		config string
	}{
		"not listed":       {want: code.HookNotListed, spoil: func(h *hooked) { h.allow = nil }},
		"listed otherwise": {want: code.HookDigestMismatch, part: "another file than", spoil: func(h *hooked) { h.allow[0] = strings.Replace(h.allow[0], digestOf(region), digestOf(nil), 1) }},
		"file changed": {want: code.HookDigestMismatch, part: "not the one that the definition pins", spoil: func(h *hooked) {
			require.NoError(h.t, os.WriteFile(filepath.Join(h.services, "hooks/region.wasm"), example(h.t, "pool"), 0o600))
		}},
		"no module": {want: code.HookDigestMismatch, part: "hook_failed", spoil: func(h *hooked) {
			require.NoError(h.t, os.WriteFile(filepath.Join(h.services, "hooks/region.wasm"), []byte("\x1b[2J"), 0o600))
		}},
		"missing": {want: code.HookFailed, part: "no such file", spoil: func(h *hooked) {
			require.NoError(h.t, os.Remove(filepath.Join(h.services, "hooks/region.wasm")))
		}},
		"writable by others": {want: code.HookFailed, part: "others can write it", spoil: func(h *hooked) {
			require.NoError(h.t, os.Chmod(filepath.Join(h.services, "hooks/region.wasm"), 0o666))
		}},
		"touches another name": {want: code.HookTouchedForbiddenName, part: "may not set the variable APP_REGION", spoil: func(h *hooked) {
			h.allow[0] = strings.Replace(h.allow[0], "APP_REGION", "APP_POOL", 1)
		}},
		"fails":           {want: code.HookFailed, part: `the hook wrote: "config.zone is missing\n"`, config: "{}"},
		"in monitor mode": {want: code.HookNotListed, spoil: func(h *hooked) { h.allow, h.config = nil, "  mode: monitor\n" }},
		"rejects": {want: code.HookRejected, part: `not_approved: "version 1.0.0 is not the approved one"`, spoil: func(h *hooked) {
			h.add("approval", "{}", "", example(h.t, "approval"))
		}},
		"rejects in monitor mode": {want: code.HookRejected, spoil: func(h *hooked) {
			h.config = "  mode: monitor\n"
			h.add("approval", "{}", "", example(h.t, "approval"))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHooked(t)
			if c.config == "" {
				c.config = "{zone: eu}"
			}
			h.add("region", c.config, "APP_REGION", region)
			if c.spoil != nil {
				c.spoil(h)
			}
			h.write()
			require.Contains(t, h.denied(c.want), c.part)
		})
	}
	// What runs forever is killed, whoever asked for it.
	h := newHooked(t)
	h.add("loop", "{}", "", endless())
	h.write()
	require.Contains(t, h.denied(code.HookFailed, "--hook-deadline", "300ms"), "did not end within 300ms")
	require.Contains(t, h.denied(code.HookFailed, "--hook-deadline", "300ms", "--hook-engine", "compiler"), "did not end within 300ms")
}

// endless is a command that never ends: (loop (br 0)).
func endless() []byte {
	return []byte("\x00asm\x01\x00\x00\x00" + "\x01\x04\x01\x60\x00\x00" + "\x03\x02\x01\x00" + "\x05\x03\x01\x00\x01" +
		"\x07\x13\x02\x06_start\x00\x00\x06memory\x02\x00" + "\x0a\x09\x01\x07\x00\x03\x40\x0c\x00\x0b\x0b")
}

// Before policy admits the launch nothing of a hook runs.
func TestHooksOfADeniedLaunchDoNotRun(t *testing.T) {
	h := newHooked(t)
	h.root = "/usr/bin"
	h.add("loop", "{}", "", endless())
	h.write()
	require.Contains(t, h.denied(code.BinaryOutsideAllowRoot, "--hook-deadline", "1m"), "denied app@1.0.0")
	out, err := h.cmd(h.args("check", "-o", "json")...).Output()
	require.Error(t, err)
	require.Contains(t, string(out), `"ran": false`)
}

func TestHookFlags(t *testing.T) {
	h := newHooked(t)
	h.add("region", "{zone: eu}", "APP_REGION", example(t, "region"))
	h.write()
	for _, bad := range [][]string{{"--hook-engine", "fast"}, {"--hook-deadline", "2m"}, {"--hook-deadline", "-1s"}} {
		out, err := h.cmd(h.args("check", bad...)...).CombinedOutput()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
		require.Equal(t, code.ExitUsage, exit.ExitCode(), "%s", out)
	}
	a := newApp(nil, nil, nil)
	a.flags.hookEngine = "compiler"
	_, err := a.hookOptions(&pinnedFile{HookEngine: "interpreter"})
	require.ErrorContains(t, err, "pins it")
	a.flags.hookEngine = ""
	o, err := a.hookOptions(&pinnedFile{HookEngine: "compiler"})
	require.NoError(t, err)
	require.Equal(t, wasm.Compiler, o.Engine)
	a.flags.hookEngine = "interpreter"
	o, err = a.hookOptions(&pinnedFile{HookEngine: "compiler"})
	require.NoError(t, err)
	require.Equal(t, wasm.Interpreter, o.Engine)
}

// TestFiftyAtOnce launches fifty services at the same time, every fifth of them
// with a hook that never ends.
func TestFiftyAtOnce(t *testing.T) {
	const launches = 50
	h := newHooked(t)
	region, data := example(t, "region"), "config:\n  services:\n"
	require.NoError(t, os.WriteFile(filepath.Join(h.services, "hooks/region.wasm"), region, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(h.services, "hooks/loop.wasm"), endless(), 0o600))
	hostile := func(i int) bool { return i%5 == 0 }
	for i := range launches {
		name, digest := "region", digestOf(region)
		if hostile(i) {
			name, digest = "loop", digestOf(endless())
		}
		definition := fmt.Sprintf("service_name: app%d\nbinary_path: %s\nper_version_binary_dir: %s\nlaunch:\n  args: [scripted-backend, good]\n  ready_timeout: 60s\n"+
			"  hooks: [{name: %s, path: hooks/%s.wasm, sha256: %s, config: {zone: eu%d}}]\n", i, h.binary, h.root, name, name, digest, i)
		require.NoError(t, os.WriteFile(filepath.Join(h.services, fmt.Sprintf("app%d.yaml", i)), []byte(definition), 0o600))
		data += fmt.Sprintf("    app%d: {hooks: {allow: {%s: {sha256: %s, may_touch: [APP_REGION]}}}}\n", i, name, digest)
	}
	require.NoError(t, os.WriteFile(filepath.Join(h.site, "data.yaml"), []byte(data), 0o600))
	// One process, so that a busy machine is no policy that is too slow.
	engine, err := policy.Load(t.Context(), policy.Options{Path: h.site, Deadline: time.Minute})
	require.NoError(t, err)
	launcher := func(deadline time.Duration) *spawner.Local {
		l, err := spawner.New(spawner.Options{
			Decider: engine, Services: service.Dirs{User: h.services}, StateDir: h.state, RuntimeDir: h.run, UserHash: "0123456789abcdef",
			Shaper: wasm.Shaper{Options: wasm.Options{Worker: wasm.RunWorker(), Deadline: deadline}},
		})
		require.NoError(t, err)
		return l
	}
	patient, short := launcher(wasm.MaxDeadline), launcher(500*time.Millisecond)
	var wait sync.WaitGroup
	for i := range launches {
		wait.Go(func() {
			l := patient
			if hostile(i) {
				l = short
			}
			b, err := l.Launch(context.Background(), spawner.Request{Service: fmt.Sprintf("app%d", i), Version: "1.0.0"})
			if hostile(i) {
				got, _ := code.Of(err)
				assert.Equal(t, code.HookFailed, got, "%v", err)
				return
			}
			if !assert.NoError(t, err) {
				return
			}
			environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", b.Identity().PID))
			assert.NoError(t, err)
			assert.Contains(t, string(environ), fmt.Sprintf("APP_REGION=eu%d\x00", i))
			assert.NoError(t, b.Kill(context.Background()))
		})
	}
	wait.Wait()
	backends, err := filepath.Glob(filepath.Join(h.state, "*", "backends", "*.json"))
	require.NoError(t, err)
	require.Empty(t, backends)
}

func TestHookCheckMatchesItsSchema(t *testing.T) {
	h := newHooked(t)
	h.add("region", "{}", "", example(t, "region"))
	h.add("broken", "{}", "", []byte("\x1b"))
	matches(t, "hook", h.ok("hook", "check", "-o", "json", filepath.Join(h.services, "hooks/region.wasm")))
	out, err := h.cmd("hook", "check", "-o", "json", filepath.Join(h.services, "hooks/broken.wasm")).Output()
	require.Error(t, err)
	matches(t, "hook", out)
	harmless(t, out)
}
