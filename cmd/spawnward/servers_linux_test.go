package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner"
	"github.com/spawnward/spawnward/spawner/process"
)

// bench is a place from which the command is run as a process of its own.
type bench struct {
	t                    *testing.T
	command              string
	state, run, services string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	dir := t.TempDir()
	run, err := os.MkdirTemp("/tmp", "sw")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(run)) })
	self, err := os.Executable()
	require.NoError(t, err)
	b := &bench{t: t, command: filepath.Join(dir, "spawnward"), state: filepath.Join(dir, "state"), run: run, services: filepath.Join(dir, "services")}
	require.NoError(t, os.Symlink(self, b.command))
	require.NoError(t, os.Mkdir(b.services, 0o700))
	t.Cleanup(func() {
		for _, name := range []string{"app", "redis", "memcached", "nginx"} {
			if t.Failed() {
				_ = b.cmd("stop", name).Run()
			}
		}
	})
	return b
}

func (b *bench) cmd(args ...string) *exec.Cmd {
	c := exec.Command(b.command, args...)
	c.Env = []string{"XDG_STATE_HOME=" + b.state, "XDG_RUNTIME_DIR=" + b.run, "RUNNING_PROCESS_SERVICE_DEF_DIR=" + b.services, "HOME=" + b.state,
		"XDG_CACHE_HOME=" + filepath.Join(filepath.Dir(b.state), "cache")}
	return c
}

func (b *bench) ok(args ...string) []byte {
	b.t.Helper()
	c := b.cmd(args...)
	var stderr strings.Builder
	c.Stderr = &stderr
	out, err := c.Output()
	require.NoError(b.t, err, stderr.String())
	return out
}

// empty demands that nothing is left in files.
func (b *bench) empty() {
	b.t.Helper()
	for _, dir := range []string{b.state, b.run} {
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			require.NoError(b.t, err)
			budget := filepath.Ext(path) == ".budget" // of who failed; it counts for half a minute
			kept := filepath.Base(filepath.Dir(path)) == "log" || filepath.Base(filepath.Dir(path)) == "digests"
			require.True(b.t, budget || kept || d.IsDir() && filepath.Base(filepath.Dir(path)) != "run", "%s is left", path)
			return nil
		})
		require.NoError(b.t, err)
	}
}

func dial(t *testing.T, path string) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", path)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

func talk(question, want string) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		conn := dial(t, path)
		_, err := io.WriteString(conn, question)
		require.NoError(t, err)
		line, err := bufio.NewReader(conn).ReadString('\n')
		require.NoError(t, err)
		require.Contains(t, line, want)
	}
}

func httpGet(t *testing.T, path string) {
	client := http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return dial(t, path), nil }}}
	resp, err := client.Get("http://backend/")
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "hello from nginx\n", string(body))
}

const nginxConf = `
        daemon off;
        pid ${run_dir}/nginx.pid;
        error_log stderr;
        worker_processes 2;
        events {}
        http {
          access_log off;
          client_body_temp_path ${run_dir}/body;
          proxy_temp_path ${run_dir}/proxy;
          fastcgi_temp_path ${run_dir}/fastcgi;
          uwsgi_temp_path ${run_dir}/uwsgi;
          scgi_temp_path ${run_dir}/scgi;
          server {
            listen unix:${endpoint};
            location / { return 200 "hello from nginx\n"; }
          }
        }
`

// TestServers launches what Debian packages, unmodified, talks to each as its
// clients do, and stops it.
func TestServers(t *testing.T) {
	memcachedUser := ""
	if os.Geteuid() == 0 {
		memcachedUser = `"-u", "root", `
	}
	for _, s := range []struct {
		name, binary, version, launch string
		comm                          string
		client                        func(*testing.T, string)
	}{
		{
			"redis", "/usr/bin/redis-server", "7.0.15", `args: ["--port", "0", "--unixsocket", "${endpoint}", "--save", ""]`,
			"redis-server", talk("PING\r\n", "+PONG"),
		},
		{
			"redis", "/usr/bin/redis-server", "7.0.15", `args: ["--port", "0", "--unixsocket", "${endpoint}", "--save", "", "--supervised", "systemd"]`,
			"redis-server", talk("PING\r\n", "+PONG"),
		},
		{
			"memcached", "/usr/bin/memcached", "1.6.18", `args: [` + memcachedUser + `"-s", "${endpoint}"]`,
			"memcached", talk("version\r\n", "VERSION"),
		},
		{
			"nginx", "/usr/sbin/nginx", "1.22.1", "args: [\"-e\", \"stderr\", \"-c\", \"${run_dir}/nginx.conf\"]\n  stderr: tail\n  files:\n    - name: nginx.conf\n      content: |" + nginxConf,
			"nginx", httpGet,
		},
	} {
		t.Run(s.name, func(t *testing.T) {
			needServer(t, s.binary)
			probe := "peer"
			if strings.Contains(s.launch, "supervised") {
				probe = "notify"
			}
			b := newBench(t)
			text := fmt.Sprintf("service_name: %s\nbinary_path: %s\nper_version_binary_dir: %s\nversion_allow_list: [%s]\nlaunch:\n  probe: %s\n  %s\n",
				s.name, s.binary, filepath.Dir(s.binary), s.version, probe, s.launch)
			require.NoError(t, os.WriteFile(filepath.Join(b.services, s.name+".yaml"), []byte(text), 0o600))

			var r spawner.Report
			require.NoError(t, json.Unmarshal(b.ok("launch", "-o", "json", s.name), &r))
			require.Equal(t, spawner.Launched, r.Outcome)
			require.Equal(t, probe == "notify", strings.Contains(r.Status, "Ready to accept connections"), "status %q", r.Status)
			comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", r.Identity.PID))
			require.NoError(t, err)
			require.Equal(t, s.comm, strings.TrimSpace(string(comm)))
			st, err := process.ReadStat(r.Identity.PID)
			require.NoError(t, err)
			require.Equal(t, r.Identity.PID, st.Session)
			s.client(t, r.Identity.Endpoint.Path)
			s.client(t, r.Identity.Endpoint.Path)
			require.Contains(t, string(b.ok("probe", s.name)), "live")
			require.Contains(t, string(b.ok("stop", s.name)), "stopped "+s.name)
			b.empty()
			requireNoSession(t, r.Identity.PID)
		})
	}
}

// requireNoSession demands that no process of the session still runs.
func requireNoSession(t *testing.T, leader int) {
	t.Helper()
	all, err := process.All()
	require.NoError(t, err)
	for _, st := range all {
		require.False(t, st.Session == leader && st.State != 'Z', "process %d of session %d still runs", st.PID, leader)
	}
}

// needServer skips where a package is not installed; build servers must have it.
func needServer(t *testing.T, binary string) {
	t.Helper()
	if _, err := os.Stat(binary); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", binary)
	}
	t.Skipf("%s is not installed", binary)
}
