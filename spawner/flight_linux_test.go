package spawner_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner"
	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/process"
	"github.com/spawnward/spawnward/spawner/service"
	"github.com/spawnward/spawnward/spawner/state"
)

// flightParts are what the test binary plays for the tests of this file.
func flightParts() map[string]func([]string) int {
	return map[string]func([]string) int{"flight-launcher": playLauncherOf, "small-world": playSmallWorld}
}

func (w *world) args() []string {
	return []string{w.o.StateDir, w.o.RuntimeDir, w.binary, w.root, w.pids}
}

func worldOf(args []string) *world {
	return &world{
		binary: args[2], root: args[3], pids: args[4],
		o: spawner.Options{Decider: decider{}, StateDir: args[0], RuntimeDir: args[1], UserHash: "0123456789abcdef"},
	}
}

// playLauncherOf launches as another process and prints its report.
func playLauncherOf(args []string) int {
	w := worldOf(args)
	l, err := spawner.New(w.o)
	if err == nil {
		var h *spawner.Handle
		req := w.request("good", nil)
		req.Wait = time.Minute
		if h, err = l.Launch(context.Background(), req); err == nil && h.Alive() {
			err = json.NewEncoder(os.Stdout).Encode(h.Report())
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func codeIs(t *testing.T, want code.Code, err error) {
	t.Helper()
	c, _ := code.Of(err)
	require.Equal(t, want, c, "%v", err)
}

func (w *world) started(t *testing.T) int {
	data, err := os.ReadFile(w.pids)
	require.NoError(t, err)
	return bytes.Count(data, []byte("\n"))
}

func TestManyLaunchersOneBackend(t *testing.T) {
	w := newWorld(t)
	const n = 64
	var wg sync.WaitGroup
	outs, errs := make([][]byte, n), make([]error, n)
	for i := range n {
		wg.Go(func() {
			c := exec.Command("/proc/self/exe", append([]string{"flight-launcher"}, w.args()...)...)
			outs[i], errs[i] = c.Output()
		})
	}
	wg.Wait()
	count := map[spawner.Outcome]int{}
	pids := map[int]bool{}
	for i := range n {
		var exit *exec.ExitError
		if errs[i] != nil {
			require.ErrorAs(t, errs[i], &exit)
			require.NoError(t, errs[i], "%s", exit.Stderr)
		}
		var r spawner.Report
		require.NoError(t, json.Unmarshal(outs[i], &r))
		count[r.Outcome]++
		pids[r.Identity.PID] = true
	}
	require.Equal(t, map[spawner.Outcome]int{spawner.Launched: 1, spawner.Reused: n - 1}, count)
	require.Len(t, pids, 1)
	require.Equal(t, 1, w.started(t))
	done, err := w.local().Stop(context.Background(), "app", "", 10*time.Second)
	require.NoError(t, err)
	require.Len(t, done, 1)
	for pid := range pids { // its launcher has ended: it is this process's orphan
		_, _ = unix.Wait4(pid, nil, 0, nil)
	}
	w.clean(t)
}

func TestManyBackendsAtOnce(t *testing.T) {
	w := newWorld(t)
	w.o.Adopt = false
	l := w.local()
	request := func(i int) spawner.Request {
		req := w.request("peer-good", func(d *service.Definition) { d.Launch.ReadyTimeout = service.MaxReadyTimeout })
		req.Version = fmt.Sprintf("1.0.%d", i)
		return req
	}
	first, err := l.Launch(context.Background(), request(0))
	require.NoError(t, err)
	stop(t, first)
	before := countFDs(t)
	const n = 200
	var wg sync.WaitGroup
	handles, errs := make([]*spawner.Handle, n), make([]error, n)
	for i := range n {
		wg.Go(func() { handles[i], errs[i] = l.Launch(context.Background(), request(i)) })
	}
	wg.Wait()
	pids := map[int]bool{}
	for i, h := range handles {
		require.NoError(t, errs[i])
		require.True(t, h.Alive())
		pids[h.Identity().PID] = true
	}
	require.Len(t, pids, n)
	locks, err := filepath.Glob(filepath.Join(w.o.StateDir, "*", "flight", "*"))
	require.NoError(t, err)
	require.Empty(t, locks)
	for _, h := range handles {
		require.NoError(t, h.Kill(context.Background()))
	}
	require.Eventually(t, func() bool { return countFDs(t) <= before }, 20*time.Second, 10*time.Millisecond)
	w.clean(t)
}

// While one launch is at work others are told by whom, or wait and may be called
// off.
func TestOneLaunchAtATime(t *testing.T) {
	w := newWorld(t)
	w.o.Adopt = false
	reached, goOn := make(chan struct{}), make(chan struct{})
	var held atomic.Bool
	w.observe = func(e spawner.Event) {
		if e.Step == spawner.Spawn && held.CompareAndSwap(false, true) {
			close(reached)
			<-goOn
		}
	}
	l := w.local()
	type result struct {
		h   *spawner.Handle
		err error
	}
	results := make(chan result)
	launch := func(ctx context.Context, req spawner.Request) {
		h, err := l.Launch(ctx, req)
		results <- result{h, err}
	}
	go launch(context.Background(), w.request("good", nil))
	<-reached

	req := w.request("good", nil)
	req.NoWait = true
	_, err := l.Launch(context.Background(), req)
	var limit *spawner.LimitError
	require.ErrorAs(t, err, &limit)
	require.Equal(t, code.InProgress, limit.Code())
	require.Equal(t, os.Getpid(), limit.PID)
	require.Positive(t, limit.RetryAfter)
	var f *spawner.Failure
	require.ErrorAs(t, err, &f)
	require.Positive(t, *f.Report.Error.RetryAfterMS)
	req.NoWait, req.Wait = false, 20*time.Millisecond
	_, err = l.Launch(context.Background(), req)
	codeIs(t, code.InProgress, err)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err = l.Launch(ctx, w.request("good", nil))
	codeIs(t, code.Canceled, err)
	other := w.request("good", nil)
	other.Version = "2.0.0"
	h, err := l.Launch(context.Background(), other)
	require.NoError(t, err, "another key does not wait")
	stop(t, h)

	go launch(context.Background(), w.request("good", nil))
	close(goOn)
	outcomes := map[spawner.Outcome]*spawner.Handle{}
	for range 2 {
		r := <-results
		require.NoError(t, r.err)
		outcomes[r.h.Report().Outcome] = r.h
	}
	require.Len(t, outcomes, 2)
	require.Equal(t, outcomes[spawner.Launched].Identity(), outcomes[spawner.Reused].Identity())
	stop(t, outcomes[spawner.Reused])
	require.NoError(t, outcomes[spawner.Launched].Close())
	w.clean(t)
}

func TestBudget(t *testing.T) {
	w := newWorld(t)
	fails := func(want code.Code) error {
		t.Helper()
		_, err := w.local().Launch(context.Background(), w.request("exit:3", nil))
		codeIs(t, want, err)
		return err
	}
	good := func() {
		t.Helper()
		h, err := w.local().Launch(context.Background(), w.request("good", nil))
		require.NoError(t, err)
		stop(t, h)
	}
	w.o.Decider = decider{change: func(d *admission.Decision) { d.Allow = false; d.Violations = []admission.Finding{{Code: "x"}} }}
	for range 4 {
		_, err := w.local().Launch(context.Background(), w.request("exit:3", nil))
		var denied *spawner.DeniedError
		require.ErrorAs(t, err, &denied, "denials do not count")
	}
	w.o.Decider = decider{}
	fails(code.ExitedEarly)
	fails(code.ExitedEarly)
	good() // which forgets the two
	for range 3 {
		fails(code.ExitedEarly)
	}
	err := fails(code.RateLimited)
	var limit *spawner.LimitError
	require.ErrorAs(t, err, &limit)
	require.Greater(t, limit.RetryAfter, time.Duration(0))
	require.LessOrEqual(t, limit.RetryAfter, 30*time.Second)
	budgets, err := filepath.Glob(filepath.Join(w.o.StateDir, "*", "flight", "*.budget"))
	require.NoError(t, err)
	require.Len(t, budgets, 1)
	require.NoError(t, os.WriteFile(budgets[0], []byte("{}"), 0o600))
	require.ErrorContains(t, fails(code.RecordCorrupt), budgets[0])
	require.NoError(t, os.Remove(budgets[0]))
	good()
	w.clean(t)
}

func TestReuseAsksEverythingAnew(t *testing.T) {
	w := newWorld(t)
	l := w.local()
	launch := func() (*spawner.Handle, error) { return l.Launch(context.Background(), w.request("good", nil)) }
	h, err := launch()
	require.NoError(t, err)
	pid := h.Identity().PID

	// What policy denies now is named and left running.
	w.o.Decider = decider{change: func(d *admission.Decision) { d.Allow = false; d.Violations = []admission.Finding{{Code: "x"}} }}
	_, err = w.local().Launch(context.Background(), w.request("good", nil))
	var denied *spawner.DeniedError
	require.ErrorAs(t, err, &denied)
	require.Equal(t, []int{pid}, denied.Running)
	require.ErrorContains(t, err, strconv.Itoa(pid))
	require.True(t, h.Alive())

	// One that is silent is neither ended nor forgotten.
	require.NoError(t, unix.Kill(pid, unix.SIGSTOP))
	_, err = launch()
	codeIs(t, code.BackendUnresponsive, err)
	require.NoError(t, unix.Kill(pid, unix.SIGCONT))
	same, err := launch()
	require.NoError(t, err)
	require.Equal(t, spawner.Reused, same.Report().Outcome)
	require.NoError(t, same.Close())

	// Other variables of the configuration are another backend's.
	w.o.Decider = decider{env: map[string]string{"SETTING": "2"}}
	set, err := w.local().Launch(context.Background(), w.request("good", nil))
	require.NoError(t, err)
	require.Equal(t, spawner.Launched, set.Report().Outcome)
	stop(t, set)

	// A rebuilt file of the same version is another backend.
	require.NoError(t, os.Rename(w.binary, w.binary+".old"))
	w.install(w.binary)
	f, err := os.OpenFile(w.binary, os.O_WRONLY|os.O_APPEND, 0)
	require.NoError(t, err)
	_, err = f.WriteString("rebuilt")
	require.NoError(t, err)
	require.NoError(t, f.Close())
	rebuilt, err := launch()
	require.NoError(t, err)
	require.Equal(t, spawner.Launched, rebuilt.Report().Outcome)
	require.True(t, h.Alive())

	// One that has ended is cleared away, with the reason.
	require.NoError(t, unix.Kill(rebuilt.Identity().PID, unix.SIGKILL))
	<-rebuilt.Done()
	next, err := launch()
	require.NoError(t, err)
	require.Equal(t, spawner.Launched, next.Report().Outcome)
	require.Len(t, next.Report().Repaired, 1)
	require.Equal(t, rebuilt.Identity().PID, next.Report().Repaired[0].PID)
	require.NoError(t, rebuilt.Close())
	stop(t, next)
	stop(t, h)
	w.clean(t)
}

// edit changes the only record as another launcher could have left it.
func (w *world) edit(t *testing.T, change func(*state.Record)) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(w.o.StateDir, "*", "backends", "*.json"))
	require.NoError(t, err)
	require.Len(t, names, 1)
	data, err := os.ReadFile(names[0])
	require.NoError(t, err)
	r, err := state.Decode(data)
	require.NoError(t, err)
	change(r)
	data, err = json.MarshalIndent(r, "", "  ")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(names[0], append(data, '\n'), 0o600))
	return names[0]
}

func TestRecordsOfOthers(t *testing.T) {
	gone := state.Launcher{PID: 1 << 22, StartTicks: 1}
	rows := map[string]struct {
		change func(*state.Record)
		code   code.Code // "" is a launch
		kept   bool      // the record
		ended  bool      // the process
	}{
		"another boot":        {func(r *state.Record) { r.BootID = "x" }, "", false, false},
		"another machine":     {func(r *state.Record) { r.MachineID = "x" }, "", true, false},
		"another namespace":   {func(r *state.Record) { r.PIDNamespace++ }, "", true, false},
		"another image":       {func(r *state.Record) { r.Binary.Inode++ }, code.IdentityMismatch, true, false},
		"unfinished":          {func(r *state.Record) { r.Phase, r.Launcher = state.Starting, gone }, "", false, true},
		"intended":            {func(r *state.Record) { r.Phase, r.Launcher, r.Identity = state.Intent, gone, nil }, "", false, true},
		"unfinished, live":    {func(r *state.Record) { r.Phase, r.Launcher.PID, r.Launcher.StartTicks = state.Starting, 1, ticksOf(1) }, code.InProgress, true, false},
		"unfinished, strange": {func(r *state.Record) { r.Phase, r.Launcher = state.Starting, gone; r.Binary.Inode++ }, code.IdentityMismatch, true, false},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			l := w.local()
			h, err := l.Launch(context.Background(), w.request("good", nil))
			require.NoError(t, err)
			path := w.edit(t, row.change)
			next, err := l.Launch(context.Background(), w.request("good", nil))
			if row.code != "" {
				codeIs(t, row.code, err)
			} else {
				require.NoError(t, err)
				require.Equal(t, spawner.Launched, next.Report().Outcome)
				require.Len(t, next.Report().Repaired, map[bool]int{true: 0, false: 1}[row.kept])
				stop(t, next)
			}
			_, err = os.Stat(path)
			require.Equal(t, row.kept, err == nil, "%v", err)
			require.Equal(t, !row.ended, h.Alive())
			require.NoError(t, h.Kill(context.Background()))
			w.clean(t)
		})
	}
}

func ticksOf(pid int) uint64 {
	st, err := process.ReadStat(pid)
	if err != nil {
		panic(err)
	}
	return st.StartTicks
}

// TestReusedNumber gives the number of an ended backend to a stranger that runs
// the very same program, in a pid namespace where the next number can be chosen.
func TestReusedNumber(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make a pid namespace and mount its /proc")
	}
	for _, phase := range []state.Phase{state.Ready, state.Starting} {
		t.Run(string(phase), func(t *testing.T) {
			w := newWorld(t)
			c := exec.Command("/proc/self/exe", append([]string{"small-world"}, append(w.args(), string(phase))...)...)
			c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
			out, err := c.CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Contains(t, string(out), "all held")
			w.clean(t)
		})
	}
}

// playSmallWorld is the first process of a pid namespace.
func playSmallWorld(args []string) (status int) {
	defer func() {
		if problem := recover(); problem != nil {
			fmt.Println(problem)
			status = 1
		}
	}()
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	hold := func(ok bool, format string, a ...any) {
		if !ok {
			panic(fmt.Sprintf(format, a...))
		}
	}
	must(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	must(unix.Mount("proc", "/proc", "proc", 0, ""))
	w := worldOf(args)
	l, err := spawner.New(w.o)
	must(err)
	launch := func() *spawner.Handle {
		h, err := l.Launch(context.Background(), w.request("good", nil))
		must(err)
		return h
	}
	h := launch()
	pid, old := h.Identity().PID, ticksOf(h.Identity().PID)
	if args[5] == string(state.Starting) {
		names, err := filepath.Glob(filepath.Join(w.o.StateDir, "*", "backends", "*.json"))
		must(err)
		data, err := os.ReadFile(names[0])
		must(err)
		data = bytes.Replace(data, []byte(`"phase": "ready"`), []byte(`"phase": "starting"`), 1)
		data = bytes.Replace(data, []byte(`"pid": 1,`), []byte(`"pid": 4194304,`), 1) // its launcher
		must(os.WriteFile(names[0], data, 0o600))
	}
	must(unix.Kill(pid, unix.SIGKILL))
	<-h.Done()
	must(h.Close())
	var stranger *exec.Cmd
	for range 1000 { // until the number is free, and other threads leave it alone
		must(os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(pid-1)), 0))
		c := exec.Command(w.binary, "scripted-backend", "never", "--pids="+w.pids)
		c.Env = []string{"RUNNING_PROCESS_BROKER_V1_BACKEND_PIPE=" + h.Identity().Endpoint.Path}
		must(c.Start())
		if c.Process.Pid == pid && ticksOf(pid) != old {
			stranger = c
			break
		}
		must(c.Process.Kill())
		_ = c.Wait()
	}
	hold(stranger != nil, "the number %d was not given again", pid)
	lives := func(after string) {
		st, err := process.ReadStat(pid)
		hold(err == nil && st.State != 'Z' && st.StartTicks != old, "the stranger was ended by %s", after)
	}
	list, err := l.List(context.Background(), "", "")
	must(err)
	hold(len(list) == 1 && list[0].State == spawner.Stale, "it was listed as %+v", list)
	lives("ps")
	next := launch()
	hold(next.Report().Outcome == spawner.Launched && next.Identity().PID != pid, "the stranger was adopted: %+v", next.Report())
	hold(len(next.Report().Repaired) == 1 && strings.Contains(next.Report().Repaired[0].Why, "another process"), "%+v", next.Report().Repaired)
	lives("launch")
	_, err = next.Stop(context.Background(), 10*time.Second)
	must(err)
	_, err = l.Stop(context.Background(), "app", "", 10*time.Second)
	must(err)
	lives("stop")
	must(stranger.Process.Kill())
	_ = stranger.Wait()
	fmt.Println("all held")
	return 0
}
