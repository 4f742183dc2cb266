package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/conformance/scripted"
	"github.com/spawnward/spawnward/spawner/fault"
)

// defaults writes a policy directory that configures what holds for all services.
func (b *bench) defaults(defaults string) string {
	b.t.Helper()
	dir := filepath.Join(b.t.TempDir(), "site")
	require.NoError(b.t, os.Mkdir(dir, 0o755))
	require.NoError(b.t, os.WriteFile(filepath.Join(dir, "data.yaml"), []byte("config: {defaults: {"+defaults+"}}\n"), 0o644))
	return dir
}

// TestExec becomes a program that tells what it was given.
func TestExec(t *testing.T) {
	for binding, exe := range map[string]string{"leased": "", "verified": "/memfd:backend (deleted)"} {
		t.Run(binding, func(t *testing.T) {
			b := newBench(t)
			binary, root := b.backend()
			to := filepath.Join(t.TempDir(), "report")
			extra, err := os.Open(os.DevNull)
			require.NoError(t, err)
			defer extra.Close()
			c := b.cmd("exec", "--policy", b.defaults("binding: {minimum: "+binding+"}"), "--binary", binary, "--root", root, "app@1.2.3",
				"--", "scripted-backend", "print-exit", "--out="+to)
			c.ExtraFiles = []*os.File{extra}
			c.Env = append(c.Env, "LANG=C", "SECRET=1")
			in, out, errs := fileIn(t, "in"), fileIn(t, "out"), fileIn(t, "err")
			c.Stdin, c.Stdout, c.Stderr = in, out, errs
			require.NoError(t, c.Run(), "%s", contents(t, errs))

			data, err := os.ReadFile(to)
			require.NoError(t, err)
			var r scripted.Report
			require.NoError(t, json.Unmarshal(data, &r))
			require.Equal(t, c.Process.Pid, r.PID, "the same process")
			if exe == "" {
				exe = binary
			}
			require.Equal(t, exe, r.Exe)
			require.Equal(t, []string{"scripted-backend", "print-exit", "--out=" + to}, r.Args[1:])
			for fd, target := range r.Descriptors {
				want := map[int]string{0: in.Name(), 1: out.Name(), 2: errs.Name()}[fd]
				require.True(t, target == want || fd > 2 && (strings.HasPrefix(target, "anon_inode:") || strings.HasPrefix(target, "/sys/fs/cgroup/")), "descriptor %d: %s", fd, target)
			}
			var names []string
			for _, v := range r.Environ {
				name, _, _ := strings.Cut(v, "=")
				names = append(names, name)
			}
			require.Equal(t, []string{
				"HOME", "LOGNAME", "PATH", "RUNNING_PROCESS_BROKER_V1_INSTANCE", "RUNNING_PROCESS_BROKER_V1_SERVICE_NAME",
				"RUNNING_PROCESS_BROKER_V1_SERVICE_VERSION", "RUNNING_PROCESS_IS_DAEMON", "SHELL", "USER",
			}, names)
			require.True(t, slices.Contains(r.Environ, "RUNNING_PROCESS_BROKER_V1_SERVICE_VERSION=1.2.3"))
			require.Equal(t, "/", r.Dir)
			b.empty()

			shown := string(b.ok("log", "show", "-o", "json"))
			require.Contains(t, shown, `"executed"`)
		})
	}
}

func fileIn(t *testing.T, name string) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), name))
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func contents(t *testing.T, f *os.File) string {
	t.Helper()
	data, err := os.ReadFile(f.Name())
	require.NoError(t, err)
	return string(data)
}

// define writes a definition of the service app.
func (b *bench) define(binary, launch string) {
	b.t.Helper()
	text := fmt.Sprintf("service_name: app\nbinary_path: %s\nper_version_binary_dir: %s\nversion_allow_list: [1.0.0]\nlaunch: {%s}\n", binary, filepath.Dir(binary), launch)
	require.NoError(b.t, os.WriteFile(filepath.Join(b.services, "app.yaml"), []byte(text), 0o600))
}

func status(err error) int {
	if exit, ok := err.(*exec.ExitError); ok {
		return exit.ExitCode()
	}
	return 0
}

// TestExecConfinesItself shows that what a definition asks for holds for the
// program.
func TestExecConfinesItself(t *testing.T) {
	b := newBench(t)
	_, root := b.backend()
	cat := filepath.Join(root, "cat")
	data, err := os.ReadFile("/bin/cat")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(cat, data, 0o755))
	b.define(cat, `args: [/proc/self/status, /proc/self/limits, /proc/self/cmdline], argv0: /srv/feline, dir: /tmp, confine: {no_new_privs: true, umask: "0077", limits: {nofile: 33, core: 0}, drop_caps: all}`)
	// Ignored signals are what a careless supervisor hands on.
	c := exec.Command("/bin/sh", "-c", `trap "" HUP INT TERM QUIT USR1 USR2 CHLD TSTP PIPE RTMIN+3; exec "$0" exec app`, b.command)
	c.Env = b.cmd().Env
	text, err := c.CombinedOutput()
	out := string(text)
	require.NoError(t, err, out)
	require.Regexp(t, `SigIgn:\s+0000000000000000\n`, out)
	require.Regexp(t, `SigBlk:\s+0000000000000000\n`, out)
	require.Regexp(t, `NoNewPrivs:\s+1\n`, out)
	require.Regexp(t, `Umask:\s+0077\n`, out)
	require.Regexp(t, `Max open files +33 +33 `, out)
	require.Regexp(t, `Max core file size +0 +0 `, out)
	require.Contains(t, out, "/srv/feline\x00/proc/self/status\x00")
	require.Regexp(t, `CapEff:\s+0000000000000000\n`, out)
	b.empty()
}

// TestExecRefuses executes nothing, and says why.
func TestExecRefuses(t *testing.T) {
	b := newBench(t)
	binary, _ := b.backend()
	mark := filepath.Join(t.TempDir(), "mark")
	play := "args: [scripted-backend, print-exit, --out=" + mark + "]"
	for _, c := range []struct {
		name, launch, version string
		status                int
		says                  string
	}{
		{"version", play, "@2.0.0", 3, "version_not_listed"},
		{"forbidden variable", play + ", pass_env: [NOTIFY_SOCKET]", "", 3, "env_name_forbidden"},
		{"files", play + ", files: [{name: a, content: b}]", "", 1, "nobody would remove"},
		{"run_dir", play + `, env: {D: "${run_dir}"}`, "", 1, "nobody would remove"},
		{"dir", play + ", dir: /nonexistent", "", 5, "spawn_failed"},
		{"confinement", play + ", confine: {limits: {nofile: 99999999999}}", "", 5, "confinement_unavailable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.define(binary, c.launch)
			cmd := b.cmd("exec", "app"+c.version)
			cmd.Env = append(cmd.Env, "NOTIFY_SOCKET=/run/x")
			out, err := cmd.CombinedOutput()
			require.Equal(t, c.status, status(err), "%s", out)
			require.Contains(t, string(out), c.says)
			require.NoFileExists(t, mark)
		})
	}
	b.empty()
}

// TestExecWithAnEndpoint gives the program a name for its socket, in a directory
// that is there.
func TestExecWithAnEndpoint(t *testing.T) {
	b := newBench(t)
	binary, _ := b.backend()
	mark := filepath.Join(t.TempDir(), "mark")
	b.define(binary, `args: [scripted-backend, print-exit, --out=`+mark+`], env: {E: "${endpoint}"}`)
	b.ok("exec", "app")
	data, err := os.ReadFile(mark)
	require.NoError(t, err)
	var r scripted.Report
	require.NoError(t, json.Unmarshal(data, &r))
	var path string
	for _, v := range r.Environ {
		if value, ok := strings.CutPrefix(v, "E="); ok {
			path = value
		}
	}
	require.Contains(t, r.Environ, "RUNNING_PROCESS_BROKER_V1_BACKEND_PIPE="+path)
	require.DirExists(t, filepath.Dir(path))
	require.NoFileExists(t, path)
}

// TestExecIsNotFooled swaps and writes the binary after it was measured.
func TestExecIsNotFooled(t *testing.T) {
	b := newFaultyBench(t)
	leased := b.defaults("binding: {minimum: leased}")
	at := []string{"measure", "before-become", fault.BecomeReady}
	for _, step := range at {
		t.Run("rename at "+step, func(t *testing.T) {
			binary, mark := b.marking(t)
			out, err := b.held(step, func(int) {
				require.NoError(t, os.Rename(filepath.Join(filepath.Dir(binary), "impostor"), binary))
			}, "exec", "--policy", leased, "--binary", binary, "--root", filepath.Dir(binary), "app@1.0.0", "--", mark)
			// To lose a name is a change of the file.
			require.Equal(t, 6, status(err), out)
			require.Contains(t, out, "binding_mismatch")
			require.NotContains(t, out, mark)
		})
		t.Run("rename of a sealed one at "+step, func(t *testing.T) {
			binary, mark := b.marking(t)
			out, err := b.held(step, func(int) {
				require.NoError(t, os.Rename(filepath.Join(filepath.Dir(binary), "impostor"), binary))
			}, "exec", "--binary", binary, "--root", filepath.Dir(binary), "app@1.0.0", "--", mark)
			require.NoError(t, err, out)
			require.Equal(t, mark+"\n", out)
		})
		t.Run("write at "+step, func(t *testing.T) {
			binary, mark := b.marking(t)
			out, err := b.held(step, func(int) {
				// The writer does not wait for the lease, but asks for it.
				fd, err := unix.Open(binary, unix.O_WRONLY|unix.O_NONBLOCK, 0)
				require.ErrorIs(t, err, unix.EAGAIN, "%d", fd)
			}, "exec", "--policy", leased, "--binary", binary, "--root", filepath.Dir(binary), "app@1.0.0", "--", mark)
			require.Equal(t, 6, status(err), out)
			require.Contains(t, out, "binding_mismatch")
			require.NotContains(t, out, mark)
		})
		t.Run("kill at "+step, func(t *testing.T) {
			binary, mark := b.marking(t)
			b.killed(step, "exec", "--binary", binary, "--root", filepath.Dir(binary), "app@1.0.0", "--", mark)
			b.empty()
		})
	}
	b.empty()
}

// marking makes a program that says what it is told, and beside it one that is
// silent.
func (b *bench) marking(t *testing.T) (binary, arg string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "opt")
	require.NoError(t, os.Mkdir(dir, 0o755))
	for name, from := range map[string]string{"genuine": "/bin/echo", "impostor": "/bin/true"} {
		data, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o755))
	}
	return filepath.Join(dir, "genuine"), "its first instruction ran"
}

// A signal that the supervisor sends before the program begins ends the exec.
func TestExecHeedsASignal(t *testing.T) {
	b := newFaultyBench(t)
	binary, mark := b.marking(t)
	out, err := b.held(fault.BecomeReady, func(pid int) {
		require.NoError(t, syscall.Kill(pid, syscall.SIGTERM)) // our own unreaped child
	}, "exec", "--binary", binary, "--root", filepath.Dir(binary), "app@1.0.0", "--", mark)
	if status(err) != -1 { // the signal's own effect
		require.Equal(t, 1, status(err), out)
		require.Contains(t, out, "cancelled")
	}
	require.NotContains(t, out, mark)
	b.empty()
}

// TestExecInANotifyUnit hands on the manager's socket where a team allows it.
func TestExecInANotifyUnit(t *testing.T) {
	b := newBench(t)
	env := filepath.Join(t.TempDir(), "env")
	data, err := os.ReadFile("/usr/bin/env")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(env, data, 0o755))
	b.define(env, "pass_env: [NOTIFY_SOCKET], probe: notify")
	c := b.cmd("exec", "--policy", b.defaults("env: {allow: [NOTIFY_SOCKET]}"), "app")
	c.Env = append(c.Env, "NOTIFY_SOCKET=/run/systemd/notify", "LISTEN_FDS=1")
	out, err := c.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "NOTIFY_SOCKET=/run/systemd/notify\n")
	require.NotContains(t, string(out), "LISTEN_FDS")
}

// TestREADMEUnit lets systemd judge the unit that the README shows.
func TestREADMEUnit(t *testing.T) {
	needServer(t, "/usr/bin/systemd-analyze")
	text, err := os.ReadFile(readme)
	require.NoError(t, err)
	_, unit, found := strings.Cut(string(text), "```ini\n")
	require.True(t, found)
	unit, _, _ = strings.Cut(unit, "```")
	b := newBench(t)
	// The command and the user of the example need not be here.
	unit = strings.ReplaceAll(unit, "/usr/local/bin/spawnward", b.command)
	unit = strings.ReplaceAll(unit, "User=redis", "User=root")
	for want, change := range map[string]string{"": unit, "Unknown key": strings.Replace(unit, "Type=", "Typ=", 1)} {
		path := filepath.Join(t.TempDir(), "redis-gated.service")
		require.NoError(t, os.WriteFile(path, []byte(change), 0o644))
		out, err := exec.Command("/usr/bin/systemd-analyze", "verify", "--man=no", path).CombinedOutput()
		if want == "" {
			require.NoError(t, err, "%s", out)
			require.NotContains(t, string(out), "redis-gated")
		} else {
			require.Contains(t, string(out), want)
		}
	}
}
