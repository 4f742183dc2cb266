package spawner_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/conformance/scripted"
	"github.com/spawnward/spawnward/spawner"
	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/process"
	"github.com/spawnward/spawnward/spawner/service"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "scripted-backend" {
		// os.Exit lingers for a second under the race detector, which would change
		// the parts that end at once.
		syscall.Exit(scripted.Run(context.Background(), os.Args[2:], scripted.Stdio{Out: os.Stdout, Err: os.Stderr}))
	}
	if len(os.Args) > 2 && os.Args[1] == "interpret" {
		syscall.Exit(interpret(os.Args[2], os.Args[3:]))
	}
	if len(os.Args) > 2 {
		for _, plays := range []map[string]func([]string) int{parts(), flightParts(), newerParts()} {
			if part := plays[os.Args[1]]; part != nil {
				syscall.Exit(part(os.Args[2:]))
			}
		}
	}
	if err := process.Adopt(); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// decider is a policy in a few lines: the binary must be measured, inside its
// root. change may spoil its decision.
type decider struct {
	change func(*admission.Decision)
	err    error
	env    map[string]string
	// as in the settings
	binding admission.Binding
	sealed  int64
	trusted []int64
}

func (d decider) Settings(string) admission.Settings {
	return admission.Settings{
		Mode: "enforce", MaxBinaryBytes: 1 << 30, MaxSealedBytes: d.sealed, TrustedOwners: d.trusted, Binding: d.binding, Env: d.env,
	}
}

func (d decider) Decide(_ context.Context, in *admission.Input) (admission.Decision, error) {
	out := admission.Decision{
		Schema: 1, Allow: true, Mode: "enforce", DecisionID: "test",
		Obligations: admission.Obligations{Binding: admission.Pinned},
	}
	deny := func(c code.Code) {
		out.Allow = false
		out.Violations = append(out.Violations, admission.Finding{Code: c, Enforcement: code.Mandatory})
	}
	if in.Binary.Error != "" {
		deny(code.Code(in.Binary.Error))
	}
	if in.Root.Error != "" {
		deny(code.Code(in.Root.Error))
	}
	if out.Allow && !in.Binary.InsideRoot {
		deny(code.BinaryOutsideAllowRoot)
	}
	if d.change != nil {
		d.change(&out)
	}
	return out, d.err
}

// world is a launcher with directories of its own and a binary to launch.
type world struct {
	t       *testing.T
	o       spawner.Options
	binary  string
	root    string
	pids    string
	kids    map[int]bool
	observe observerFunc
}

type observerFunc func(spawner.Event)

func (f observerFunc) Observe(_ context.Context, e spawner.Event) {
	if f != nil {
		f(e)
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	run, err := os.MkdirTemp("/tmp", "sw")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(run)) })
	dir := t.TempDir()
	w := &world{t: t, root: filepath.Join(dir, "opt"), pids: filepath.Join(dir, "pids")}
	w.binary = filepath.Join(w.root, "backend")
	require.NoError(t, os.Mkdir(w.root, 0o755))
	w.install(w.binary)
	w.kids, err = process.Children()
	require.NoError(t, err)
	w.o = spawner.Options{
		Decider: decider{}, StateDir: filepath.Join(dir, "state"), RuntimeDir: run,
		UserHash: "0123456789abcdef", Adopt: true,
	}
	return w
}

// install copies the test's own binary.
func (w *world) install(to string) {
	w.t.Helper()
	in, err := os.Open("/proc/self/exe")
	require.NoError(w.t, err)
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	require.NoError(w.t, err)
	_, err = io.Copy(out, in)
	require.NoError(w.t, err)
	require.NoError(w.t, out.Close())
}

func (w *world) local() *spawner.Local {
	w.t.Helper()
	w.o.Observer = w.observe
	l, err := spawner.New(w.o)
	require.NoError(w.t, err)
	return l
}

func (w *world) request(part string, change func(*service.Definition)) spawner.Request {
	d := service.Defaults()
	d.ServiceName, d.BinaryPath, d.PerVersionBinaryDir = "app", w.binary, w.root
	d.Launch.Args = []string{"scripted-backend", part, "--pids=" + w.pids}
	if strings.HasPrefix(part, "peer") {
		d.Launch.Probe = service.ProbePeer
	}
	if change != nil {
		change(&d)
	}
	return spawner.Request{
		Service: "app", Version: "1.2.3",
		Definition: &service.Loaded{Definition: &d, Source: service.SourceLibrary},
	}
}

// clean demands that nothing is left: no file, no record, no process.
func (w *world) clean(t *testing.T) {
	t.Helper()
	for _, dir := range []string{w.o.StateDir, w.o.RuntimeDir} {
		_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if errors.Is(err, os.ErrNotExist) {
				return nil
			}
			require.NoError(t, err)
			budget := filepath.Ext(path) == ".budget" // of who failed; it counts for half a minute
			kept := filepath.Base(filepath.Dir(path)) == "log" || filepath.Base(filepath.Dir(path)) == "digests"
			require.True(t, budget || kept || d.IsDir() && filepath.Base(filepath.Dir(path)) != "run", "%s is left", path)
			return nil
		})
	}
	data, err := os.ReadFile(w.pids)
	if !errors.Is(err, os.ErrNotExist) {
		require.NoError(t, err)
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		pid, err := strconv.Atoi(f[1])
		require.NoError(t, err)
		// The number may have been given away; a zombie has no executable.
		exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		require.False(t, strings.HasPrefix(exe, w.root), "process %s is left", line)
	}
	kids, err := process.Children()
	require.NoError(t, err)
	require.Equal(t, w.kids, kids)
}

func stop(t *testing.T, h *spawner.Handle) {
	t.Helper()
	_, err := h.Stop(context.Background(), 10*time.Second)
	require.NoError(t, err)
}

func TestEveryBadBackendEndsWithItsCode(t *testing.T) {
	rows := map[string]code.Code{
		"never": code.ReadyTimeout, "slow-drip": code.ReadyTimeout,
		"exit:0": code.ExitedEarly, "exit:3": code.ExitedEarly, "die-during-probe": code.ExitedEarly,
		"fork-exit":            code.ExitedEarly,
		"peer-daemonise:100ms": code.BackendForkedAway, "squat": code.PeerMismatch,
		"wrong-pid": code.ProbePID, "wrong-path": code.ProbeExePath, "wrong-digest": code.ProbeDigest,
		"wrong-boot-id": code.ProbeBootID, "wrong-endpoint": code.ProbeEndpoint, "wrong-namespace": code.ProbeEndpoint,
		"no-endpoint": code.ProbeEndpointMissing, "short-digest": code.ProbeDigestLength,
		"wrong-nonce": code.ProbeNonce, "wrong-request-id": code.ProbeRequestID, "wrong-version": code.ProbeVersion,
		"wrong-kind": code.ProbeKind, "wrong-encoding": code.ProbeEncoding, "wrong-protocol": code.ProbeProtocol,
		"short-payload": code.ProbePayload, "bad-identity": code.ProbeIdentity,
		"bad-framing": code.ProbeFrame, "bad-message": code.ProbeFrame, "truncated": code.ProbeFrame,
		"oversize": code.ProbeFrame, "close-early": code.ProbeFrame,
	}
	w := newWorld(t)
	l := w.local()
	for i, part := range slices.Sorted(maps(rows)) {
		t.Run(part, func(t *testing.T) {
			req := w.request(part, func(d *service.Definition) {
				if rows[part] == code.ReadyTimeout {
					d.Launch.ReadyTimeout = 700 * time.Millisecond
				}
				d.Launch.Settle = time.Second // longer than the part goes on
			})
			req.Version = fmt.Sprintf("1.2.%d", i) // each has a budget of its own
			h, err := l.Launch(context.Background(), req)
			require.Nil(t, h)
			var pe *spawner.ProbeError
			require.ErrorAs(t, err, &pe)
			require.Equal(t, rows[part], pe.Code(), err)
			var f *spawner.Failure
			require.ErrorAs(t, err, &f)
			require.Equal(t, spawner.Failed, f.Report.Outcome)
			require.Equal(t, rows[part], f.Report.Error.Code)
			require.True(t, f.Report.Decision.Allow)
			w.clean(t)
		})
	}
}

func maps[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// Where a copy serves, the launch fails in one of two ways: the launched process
// is gone before the copy could answer, or it is still there and did not listen.
func TestCopiesThatServe(t *testing.T) {
	for _, part := range []string{"listen-daemonise", "double-fork"} {
		t.Run(part, func(t *testing.T) {
			w := newWorld(t)
			_, err := w.local().Launch(context.Background(), w.request(part, nil))
			c, _ := code.Of(err)
			require.Contains(t, []code.Code{code.ExitedEarly, code.ProbePID, code.PeerMismatch}, c, err)
			w.clean(t)
		})
	}
}

func TestGoodBackends(t *testing.T) {
	for _, part := range []string{"good", "late:300ms", "leave-child", "leave-child-session", "ignore-term", "peer-good", "peer-worker"} {
		t.Run(part, func(t *testing.T) {
			w := newWorld(t)
			h, err := w.local().Launch(context.Background(), w.request(part, nil))
			require.NoError(t, err)
			id := h.Identity()
			require.True(t, h.Alive())
			require.Equal(t, w.binary, id.ExePath)
			require.Equal(t, h.Report().Input.Binary.SHA256, id.ExeSHA256)
			require.EqualValues(t, 30, *id.IdleTimeoutSecs)
			require.Equal(t, "private:app", id.Endpoint.NamespaceID)
			conn, err := h.Connect(context.Background())
			require.NoError(t, err)
			require.NoError(t, conn.Close())
			if part == "leave-child-session" || part == "ignore-term" {
				require.NoError(t, h.Kill(context.Background()))
			} else {
				stop(t, h)
			}
			require.False(t, h.Alive())
			_, err = h.Connect(context.Background())
			require.Error(t, err)
			if part == "leave-child-session" {
				endStray(t, w) // what escapes a session after the launch is a stated limit
			}
			w.clean(t)
		})
	}
}

// endStray ends the one child that a part left in a session of its own.
func endStray(t *testing.T, w *world) {
	t.Helper()
	kids, err := process.Children()
	require.NoError(t, err)
	for pid := range kids {
		if !w.kids[pid] {
			st, err := process.ReadStat(pid)
			require.NoError(t, err)
			require.Equal(t, pid, st.Session)
			require.NoError(t, unix.Kill(pid, unix.SIGKILL))
			_, err = unix.Wait4(pid, nil, 0, nil)
			require.NoError(t, err)
		}
	}
}

func TestChildIsDetachedAndClean(t *testing.T) {
	w := newWorld(t)
	w.o.Decider = decider{env: map[string]string{"FROM_CONFIG": "c", "BOTH": "configuration"}}
	w.o.Getenv = func(name string) (string, bool) { return "launcher's " + name, true }
	out := filepath.Join(t.TempDir(), "report")
	req := w.request("print", func(d *service.Definition) {
		d.Launch.Args = append(d.Launch.Args, "--out="+out, "$${x} ${service}")
		d.Launch.Args = slices.Delete(d.Launch.Args, 4, 5)
		d.Launch.Env = map[string]string{"MINE": "${version}", "BOTH": "definition"}
		d.Launch.PassEnv = []string{"PASSED"}
		d.Launch.Argv0 = "/srv/some-name"
	})
	req.Trace = admission.Trace{Traceparent: "00-11111111111111111111111111111111-2222222222222222-01"}
	h, err := w.local().Launch(context.Background(), req)
	require.NoError(t, err)
	data, err := os.ReadFile(out)
	require.NoError(t, err)
	var r scripted.Report
	require.NoError(t, json.Unmarshal(data, &r))
	stop(t, h)
	w.clean(t)
	require.Equal(t, []string{"/srv/some-name", "scripted-backend", "print", "--pids=" + w.pids, "--out=" + out}, r.Args)
	require.Equal(t, "some-name", r.Comm)
	require.Equal(t, h.Identity().PID, r.Session)
	require.Equal(t, "/", r.Dir)
	require.Zero(t, r.TTY)
	for fd, target := range r.Descriptors {
		require.True(t, fd > 2 && (strings.HasPrefix(target, "anon_inode:") || strings.HasPrefix(target, "/sys/fs/cgroup/")) || target == "/dev/null", "%d %s", fd, target)
	}
	env := map[string]string{}
	for _, kv := range r.Environ {
		k, v, _ := strings.Cut(kv, "=")
		env[k] = v
	}
	require.Equal(t, "1.2.3", env["MINE"])
	require.Equal(t, "configuration", env["BOTH"])
	require.Equal(t, "c", env["FROM_CONFIG"])
	require.Equal(t, "launcher's PASSED", env["PASSED"])
	require.Equal(t, "1", env["RUNNING_PROCESS_IS_DAEMON"])
	require.Equal(t, "private:app", env["RUNNING_PROCESS_BROKER_V1_INSTANCE"])
	require.Equal(t, h.Identity().Endpoint.Path, env["RUNNING_PROCESS_BROKER_V1_BACKEND_PIPE"])
	require.Equal(t, req.Trace.Traceparent, env["RUNNING_PROCESS_BROKER_V1_TRACEPARENT"])
	require.NotContains(t, env, "RUNNING_PROCESS_BROKER_V1_TRACESTATE")
	require.NotContains(t, env, "LANG")
	for _, name := range []string{"USER", "LOGNAME", "HOME", "SHELL", "PATH"} {
		require.NotEmpty(t, env[name])
		require.NotContains(t, env[name], "launcher's")
	}
	require.Len(t, env, 16)
}

func TestDenials(t *testing.T) {
	w := newWorld(t)
	text := filepath.Join(t.TempDir(), "x")
	require.NoError(t, os.WriteFile(text, nil, 0o600))
	for want, change := range map[code.Code]func(*service.Definition){
		code.BinaryPathEmpty:        func(d *service.Definition) { d.BinaryPath = "" },
		code.AllowRootEmpty:         func(d *service.Definition) { d.PerVersionBinaryDir = "" },
		code.BinaryUnresolvable:     func(d *service.Definition) { d.BinaryPath = "/nowhere" },
		code.AllowRootUnresolvable:  func(d *service.Definition) { d.PerVersionBinaryDir = "/nowhere" },
		code.AllowRootNotDirectory:  func(d *service.Definition) { d.PerVersionBinaryDir = text },
		code.BinaryOutsideAllowRoot: func(d *service.Definition) { d.PerVersionBinaryDir = filepath.Dir(text) },
	} {
		_, err := w.local().Launch(context.Background(), w.request("good", change))
		var denied *spawner.DeniedError
		require.ErrorAs(t, err, &denied)
		require.Equal(t, want, denied.Code())
		w.clean(t)
	}
}

// Whatever a decider says, what no policy can change holds.
func TestSpoiledDecisionsDeny(t *testing.T) {
	w := newWorld(t)
	for name, d := range map[string]decider{
		"zero":    {change: func(d *admission.Decision) { *d = admission.Decision{} }},
		"error":   {err: errors.New("no")},
		"both":    {change: func(d *admission.Decision) { d.Violations = []admission.Finding{{Code: "x"}} }},
		"monitor": {change: func(d *admission.Decision) { d.Allow, d.Mode = false, "monitor" }},
		"mandatory": {change: func(d *admission.Decision) {
			*d = admission.Decision{Mode: "monitor", Violations: []admission.Finding{{Enforcement: code.Mandatory}}}
		}},
		"binding": {change: func(d *admission.Decision) { d.Obligations.Binding = admission.Sealed }},
		"unbound": {change: func(d *admission.Decision) { d.Obligations.Binding = "" }},
	} {
		t.Run(name, func(t *testing.T) {
			w.o.Decider = d
			_, err := w.local().Launch(context.Background(), w.request("good", nil))
			require.Error(t, err)
			w.clean(t)
		})
	}
	t.Run("outside", func(t *testing.T) {
		w.o.Decider = decider{change: func(d *admission.Decision) { d.Allow, d.Violations = true, nil }}
		_, err := w.local().Launch(context.Background(), w.request("good", func(d *service.Definition) { d.PerVersionBinaryDir = "/usr/bin" }))
		var pe *spawner.PolicyError
		require.ErrorAs(t, err, &pe)
		w.clean(t)
	})
}

func TestMonitorLetsStandardFindingsPass(t *testing.T) {
	w := newWorld(t)
	w.o.Decider = decider{change: func(d *admission.Decision) {
		d.Allow, d.Mode = false, "monitor"
		d.Violations = []admission.Finding{{Code: code.BinaryHardLinks, Enforcement: code.Standard}}
	}}
	h, err := w.local().Launch(context.Background(), w.request("good", nil))
	require.NoError(t, err)
	require.False(t, h.Report().Decision.Allow)
	stop(t, h)
	w.clean(t)
}

func TestSwapBetweenDecisionAndStart(t *testing.T) {
	w := newWorld(t)
	impostor := filepath.Join(w.root, "impostor")
	require.NoError(t, os.WriteFile(impostor, []byte("#!/bin/sh\ntouch "+w.pids+".wrong\n"), 0o755))
	w.observe = func(e spawner.Event) {
		if e.Step == spawner.Decide {
			require.NoError(t, os.Rename(impostor, w.binary))
		}
	}
	_, err := w.local().Launch(context.Background(), w.request("good", nil))
	var ie *spawner.IdentityError
	require.ErrorAs(t, err, &ie)
	require.Equal(t, code.BindingMismatch, ie.Code())
	require.NoFileExists(t, w.pids+".wrong")
	require.NoFileExists(t, w.pids, "the replaced file did not run either")
	w.clean(t)
}

func TestCancelAtEveryStepLeavesNothing(t *testing.T) {
	for _, at := range []spawner.Step{spawner.Resolve, spawner.Measure, spawner.Decide, spawner.Queue, spawner.Reuse, spawner.Intend, spawner.Spawn, spawner.Verify, spawner.Probe} {
		t.Run(string(at), func(t *testing.T) {
			w := newWorld(t)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			w.observe = func(e spawner.Event) {
				if e.Step == at {
					cancel()
				}
			}
			_, err := w.local().Launch(ctx, w.request("good", nil))
			require.ErrorIs(t, err, context.Canceled)
			c, _ := code.Of(err)
			require.Equal(t, code.Canceled, c)
			w.clean(t)
		})
	}
	t.Run("while it waits", func(t *testing.T) {
		w := newWorld(t)
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer cancel()
		_, err := w.local().Launch(ctx, w.request("never", nil))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		w.clean(t)
	})
}

func TestTailIsShown(t *testing.T) {
	w := newWorld(t)
	_, err := w.local().Launch(context.Background(), w.request("exit:3", func(d *service.Definition) { d.Launch.Stderr = service.StderrTail }))
	require.ErrorContains(t, err, "exit status 3")
	require.ErrorContains(t, err, "it last wrote on standard error:\n")
	w.clean(t)
}

func TestStderrFile(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(t.TempDir(), "err.log")
	_, err := w.local().Launch(context.Background(), w.request("exit:3", func(d *service.Definition) { d.Launch.Stderr = file }))
	require.Error(t, err)
	st, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), st.Mode())
	require.NotZero(t, st.Size())

	_, err = w.local().Launch(context.Background(), w.request("good", func(d *service.Definition) { d.Launch.Stderr = filepath.Join(w.root, "err.log") }))
	require.ErrorContains(t, err, "inside the allow-root")
	_, err = w.local().Launch(context.Background(), w.request("good", func(d *service.Definition) { d.Launch.Stderr = "/proc/self/mem" }))
	require.ErrorContains(t, err, "it is the kernel's")
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(file, link))
	_, err = w.local().Launch(context.Background(), w.request("good", func(d *service.Definition) { d.Launch.Stderr = link }))
	require.Error(t, err)
	w.clean(t)
}

func TestEndpointPathTooLong(t *testing.T) {
	w := newWorld(t)
	w.o.RuntimeDir = filepath.Join(w.o.RuntimeDir, strings.Repeat("x", 60))
	_, err := w.local().Launch(context.Background(), w.request("good", nil))
	c, _ := code.Of(err)
	require.Equal(t, code.EndpointTooLong, c)
}

func TestRuntimeDirectoryOfOthers(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, os.Chmod(w.o.RuntimeDir, 0o755))
	_, err := w.local().Launch(context.Background(), w.request("good", nil))
	c, _ := code.Of(err)
	require.Equal(t, code.DirectoryUnsafe, c)
	require.ErrorContains(t, err, "mode 0755")
	w.clean(t)
}

func TestManyAtOnce(t *testing.T) {
	w := newWorld(t)
	w.o.Adopt = false
	l := w.local()
	first, err := l.Launch(context.Background(), w.request("good", nil))
	require.NoError(t, err)
	stop(t, first)
	before := countFDs(t) // with the log open, which stays so
	const n = 24
	var wg sync.WaitGroup
	handles := make([]*spawner.Handle, n)
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() {
			req := w.request("good", nil)
			req.Version = fmt.Sprintf("1.2.%d", i)
			handles[i], errs[i] = l.Launch(context.Background(), req)
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for i, h := range handles {
		require.NoError(t, errs[i])
		require.False(t, seen[h.Identity().Endpoint.Path])
		seen[h.Identity().Endpoint.Path] = true
	}
	list, err := l.List(context.Background(), "app", "")
	require.NoError(t, err)
	require.Len(t, list, n)
	for _, s := range list {
		require.Equal(t, spawner.Live, s.State, s.Why)
	}
	for _, h := range handles {
		stop(t, h)
	}
	require.Eventually(t, func() bool { return countFDs(t) <= before }, 10*time.Second, 10*time.Millisecond)
	w.clean(t)
}

func countFDs(t *testing.T) int {
	names, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(names)
}

func TestKnownBackends(t *testing.T) {
	w := newWorld(t)
	l := w.local()
	h, err := l.Launch(context.Background(), w.request("good", nil))
	require.NoError(t, err)
	list, err := l.List(context.Background(), "", "")
	require.NoError(t, err)
	require.Len(t, list, 1)
	again, err := l.Verify(context.Background(), list[0])
	require.NoError(t, err)
	require.Equal(t, h.Identity(), again.Identity())
	conn, err := again.Connect(context.Background())
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	require.NoError(t, again.Close())

	// It stops answering: it is ours, it is left alone, and it is said.
	require.NoError(t, unix.Kill(h.Identity().PID, unix.SIGSTOP))
	list, err = l.List(context.Background(), "", "")
	require.NoError(t, err)
	require.Equal(t, spawner.Unresponsive, list[0].State)
	_, err = l.Verify(context.Background(), list[0])
	c, _ := code.Of(err)
	require.Equal(t, code.BackendUnresponsive, c)
	require.NoError(t, unix.Kill(h.Identity().PID, unix.SIGCONT))

	// It is gone: the record is stale, and stop cleans it away.
	require.NoError(t, unix.Kill(h.Identity().PID, unix.SIGKILL))
	<-h.Done()
	list, err = l.List(context.Background(), "", "")
	require.NoError(t, err)
	require.Equal(t, spawner.Stale, list[0].State)
	done, err := l.Stop(context.Background(), "app", "", time.Second)
	require.NoError(t, err)
	require.Len(t, done, 1)
	require.NoError(t, h.Close())
	w.clean(t)
}

func TestCustomLaunchers(t *testing.T) {
	w := newWorld(t)
	l := w.local()
	boom := errors.New("boom")
	mine := spawner.Func{Name: "mine", Start: func(_ context.Context, r spawner.Request) (*spawner.Handle, error) {
		if r.Version == "9.9.9" {
			return nil, boom
		}
		return nil, fmt.Errorf("not %s: %w", r.Service, spawner.ErrNotMine)
	}}
	chain := spawner.Chain{mine, l}
	req := w.request("good", nil)
	h, err := chain.Launch(context.Background(), req)
	require.NoError(t, err)
	stop(t, h)
	req.Version = "9.9.9"
	_, err = chain.Launch(context.Background(), req)
	var le *spawner.LauncherError
	require.ErrorAs(t, err, &le)
	require.ErrorIs(t, err, boom)
	_, err = spawner.Chain{}.Launch(context.Background(), req)
	require.ErrorIs(t, err, spawner.ErrNotMine)
	_, err = spawner.Func{Name: "nil"}.Launch(context.Background(), req)
	require.Error(t, err)
	_, err = spawner.Func{Name: "neither", Start: func(context.Context, spawner.Request) (*spawner.Handle, error) { return nil, nil }}.Launch(context.Background(), req)
	require.Error(t, err)
	w.clean(t)
}

func TestNewRefuses(t *testing.T) {
	_, err := spawner.New(spawner.Options{})
	require.Error(t, err)
	_, err = spawner.New(spawner.Options{Decider: decider{}, UserHash: "ABCDEF0123456789"})
	c, _ := code.Of(err)
	require.Equal(t, code.Usage, c)
}
