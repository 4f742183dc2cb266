//go:build amd64 || arm64

package wasm

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/code"
)

func uid() int { return os.Geteuid() }

// moduleFile writes a module where only the user and root can.
func moduleFile(t *testing.T, data []byte) (path, digest string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "hook.wasm")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	sum := sha256.Sum256(data)
	return path, hex.EncodeToString(sum[:])
}

func TestOpenComparesTheDigest(t *testing.T) {
	path, digest := moduleFile(t, says(goodReply).encode())
	m, err := Open(uid(), path, digest)
	require.NoError(t, err)
	require.Equal(t, digest, m.SHA256)
	for _, wrong := range []string{"", "\x1b[2J", digest[1:] + "0"} {
		m, err = Open(uid(), path, wrong)
		require.Nil(t, m)
		got, _ := code.Of(err)
		require.Equal(t, code.HookDigestMismatch, got)
		require.NotContains(t, err.Error(), "\x1b")
	}
	bad, _ := moduleFile(t, []byte("no module"))
	_, err = Open(uid(), bad, digest)
	got, _ := code.Of(err)
	require.Equal(t, code.HookDigestMismatch, got, "the digest is compared before the module is looked at")
}

// TestSwappedFile changes the file after it was opened.
func TestSwappedFile(t *testing.T) {
	path, digest := moduleFile(t, says(goodReply).encode())
	m, err := Open(uid(), path, digest)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, says(`{"v":1,"set":{"EVIL":"1"}}`).encode(), 0o600))
	result, err := Run(t.Context(), Hook{Name: "a", Module: m}, Input{}, Options{Worker: RunWorker(), Deadline: 20 * time.Second})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"REGION": "eu"}, result.Reply.Set)
	_, err = Open(uid(), path, digest)
	got, _ := code.Of(err)
	require.Equal(t, code.HookDigestMismatch, got)
}

// TestUntrustedFile is one that somebody else could write.
func TestUntrustedFile(t *testing.T) {
	path, digest := moduleFile(t, says(goodReply).encode())
	require.NoError(t, os.Chmod(path, 0o666))
	_, err := Open(uid(), path, digest)
	got, _ := code.Of(err)
	require.Equal(t, code.DirectoryUnsafe, got)
}

// TestNoFile is what most first tries of an author meet.
func TestNoFile(t *testing.T) {
	m, err := Read(uid(), filepath.Join(t.TempDir(), "hook.wasm"))
	require.Nil(t, m)
	require.ErrorContains(t, err, "no such file; build it")
	got, _ := code.Of(err)
	require.Equal(t, code.HookInvalid, got)
}

func engines() []Engine { return []Engine{Interpreter, Compiler} }

func hookOf(t testing.TB, g guest) Hook {
	t.Helper()
	m, err := Check(g.encode())
	require.NoError(t, err)
	return Hook{Name: "hook", Module: m}
}

// noneLeft demands that this process has no child.
func noneLeft(t *testing.T) {
	t.Helper()
	_, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
	require.ErrorIs(t, err, unix.ECHILD, "a worker is left")
}

// hostile are guests that pass the gate and must fail in the worker, with a part
// of the message. An empty part is for those that may fail in several ways.
func hostile() map[string]struct {
	guest guest
	want  string
} {
	type row = struct {
		guest guest
		want  string
	}
	const late = "did not end within"
	doubling := guest{}
	for i := range uint64(40) {
		doubling.funcs = append(doubling.funcs, fn{code: join(call(firstFunc+i+1), call(firstFunc+i+1))})
	}
	doubling.funcs = append(doubling.funcs, fn{})
	started := guest{start: leb(firstFunc), funcs: []fn{{code: loop()}}}
	big := func(g guest) guest { g.memory = vec(join(0, leb(MaxMemoryPages))); return g }
	full := guest{funcs: []fn{{locals: vec(join(leb(MaxLocals), 0x7f)), code: call(firstFunc)}}}
	bomb := guest{}
	for range 60 {
		bomb.funcs = append(bomb.funcs, fn{code: join(repeat([]byte{0x02, 0x40}, MaxNesting-1), repeat([]byte{0x0b}, MaxNesting-1))})
	}
	chain := guest{}
	for range 60 {
		chain.funcs = append(chain.funcs, fn{code: repeat([]byte{0x41, 0, 0x04, 0x40, 0x0b}, 26_000)})
	}
	functions := guest{funcs: make([]fn, MaxFunctions-firstFunc)}
	rows := map[string]row{
		"infinite loop":          {command(loop()), late},
		"loop in start function": {started, late},
		"doubling calls":         {doubling, late},
		"straight-line fills":    {big(command(repeat(join(i32(0), i32(0), i32(32<<20), 0xfc, 11, 0), 8_000))), late},
		"memory growth":          {command(loop(i32(1), 0x40, 0, 0x1a)), late},
		"growth, then nothing":   {command(i32(508), 0x40, 0, 0x1a), "no reply"},
		"growth beyond":          {command(i32(509), 0x40, 0, i32(-1), 0x46, 0x04, 0x40, 0x00, 0x0b), "unreachable"},
		"nested blocks":          {bomb, ""},
		"if chains":              {chain, ""},
		"many functions":         {functions, ""},
		"deep recursion":         {command(call(firstFunc)), "stack overflow"},
		"recursion with locals":  {full, ""},
		"unreachable":            {command(0x00), "unreachable"},
		"out of bounds":          {command(i32(-4), 0x28, 2, 0, 0x1a), "out of bounds"},
		"fill out of bounds":     {command(i32(0), i32(0), i32(-1), 0xfc, 11, 0), "out of bounds"},
		"division by zero":       {command(i32(1), i32(0), 0x6d, 0x1a), "divide by zero"},
		"empty table":            {guest{funcs: command(i32(0), 0x11, 0, 0).funcs, table: vec(join(0x70, 0, leb(MaxTable)))}, "invalid table access"},
		"does not validate":      {command(0x6a), "engine refuses"},
		"giant output":           {command(loop(write(1, 60_000))), "more than 65536"},
		"giant standard error":   {command(loop(write(2, 60_000))), late},
		"writes of nothing":      {command(loop(write(1, 0))), late},
		"output, then a loop":    {command(write(1, 10), loop()), late},
		"exit 1":                 {command(exit(1)), "status 1;"},
		"exit 255":               {command(exit(255)), "status 255;"},
		"exit as by deadline":    {command(exit(0xefffffff)), "status 4026531839;"},
		"exit as by context":     {command(exit(0xffffffff)), "status 4294967295;"},
		"exit 0 without output":  {command(exit(0)), "no reply"},
		"nothing at all":         {command(), "no reply"},
		"reads descriptor 3":     {command(store(0, 1024), store(4, 8), i32(3), i32(0), i32(1), i32(8), call(fdRead), 0x04, 0x40, 0x00, 0x0b), "unreachable"},
		"reads standard output":  {command(store(0, 1024), store(4, 8), i32(1), i32(0), i32(1), i32(8), call(fdRead), 0x04, 0x40, 0x00, 0x0b), "unreachable"},
		"an hour's sleep":        {sleeper(3600), "slept longer"},
		"a billion random bytes": {big(command(loop(i32(0), i32(32<<20), call(randomGet), 0x1a))), late},
	}
	trap := says(goodReply)
	trap.funcs[0].code = append(trap.funcs[0].code, 0x00)
	rows["reply, then a trap"] = row{trap, "unreachable"}
	fails := says(goodReply)
	fails.funcs[0].code = join(fails.funcs[0].code, exit(3))
	rows["reply, then status 3"] = row{fails, "status 3;"}
	names := says("\x1b]0;owned\a\x1b[2J\u009b31m")
	rows["escapes instead of a reply"] = row{names, "reply"}
	for name, c := range badReplies() {
		if len(c[0]) <= MaxReply {
			rows["reply: "+name] = row{says(c[0]), c[1]}
		}
	}
	million := command(write(1, 21), loop(write(1, 7)))
	million.data = `"A":"",{"v":1,"set":{`
	rows["reply: a million keys"] = row{million, "more than 65536"}
	closes := says(goodReply)
	closes.imports = append(wasiImports(), imp(wasi, "fd_close", 0, leb(4)))
	closes.funcs[0].code = join(i32(1), call(firstFunc), 0x1a, closes.funcs[0].code)
	rows["closes standard output"] = row{closes, "no reply"}
	keys := `{"v":1,"set":{`
	for i := range 5_000 {
		keys += fmt.Sprintf(`"A%d":"",`, i)
	}
	rows["reply: thousands of keys"] = row{says(keys), "more than 256"}
	return rows
}

// sleeper asks for one sleep of so many seconds. A subscription has 48 bytes:
// user data, kind at 8 (0, a clock), clock at 16, time at 24.
func sleeper(seconds uint64) guest {
	var sub [48]byte
	sub[16] = 1
	ns := seconds * 1e9
	for i := range 8 {
		sub[24+i] = byte(ns >> (8 * i))
	}
	g := command(i32(1024), i32(2048), i32(1), i32(0), call(pollOneoff), 0x1a, write(2, 48))
	g.data = string(sub[:])
	return g
}

// TestHostileGuests runs each in a worker of its own, in both engines.
func TestHostileGuests(t *testing.T) {
	worker := RunWorker()
	const deadline = 300 * time.Millisecond
	for name, c := range hostile() {
		h := hookOf(t, c.guest)
		for _, engine := range engines() {
			t.Run(name+"/"+string(engine), func(t *testing.T) {
				began := time.Now()
				result, err := Run(t.Context(), h, Input{}, Options{Worker: worker, Engine: engine, Deadline: deadline})
				took := time.Since(began)
				require.Nil(t, result)
				var failed *Error
				require.ErrorAs(t, err, &failed)
				require.Equal(t, code.HookFailed, failed.C)
				// On a busy machine a slow start may use up the deadline.
				if !strings.Contains(err.Error(), "did not end within") {
					require.ErrorContains(t, err, c.want)
				}
				for _, r := range err.Error() {
					require.True(t, unicode.IsPrint(r), "%q", err.Error())
				}
				require.LessOrEqual(t, len(failed.Stderr), maxStderr)
				require.Less(t, took, deadline+2*time.Second)
				t.Logf("%s: %v", took.Round(time.Millisecond), err)
				noneLeft(t)
			})
		}
	}
	var used unix.Rusage
	require.NoError(t, unix.Getrusage(unix.RUSAGE_CHILDREN, &used))
	t.Logf("the largest worker had %d MiB", used.Maxrss>>10)
	require.Less(t, used.Maxrss, int64(workerMemory>>10), "the memory of a worker is bounded")
	// Resident memory would be the race detector's shadow as well.
	var own runtime.MemStats
	runtime.ReadMemStats(&own)
	t.Logf("the launcher had %d MiB", own.Sys>>20)
	require.Less(t, own.Sys, uint64(256<<20), "what workers do costs the launcher no memory")
}

func TestRun(t *testing.T) {
	o := Options{Worker: RunWorker(), Deadline: 20 * time.Second}
	for _, o.Engine = range append(engines(), "") {
		result, err := Run(t.Context(), hookOf(t, says(goodReply)), Input{}, o)
		require.NoError(t, err)
		require.Equal(t, Reply{V: 1, Set: map[string]string{"REGION": "eu"}}, result.Reply)
		require.Positive(t, result.Took)

		_, err = Run(t.Context(), hookOf(t, says(`{"v":1,"reject":{"code":"frozen","message":"\u001b[2J"}}`)), Input{}, o)
		var rejected *Error
		require.ErrorAs(t, err, &rejected)
		require.Equal(t, code.HookRejected, rejected.C)
		require.Equal(t, &Rejection{"frozen", "\x1b[2J"}, rejected.Rejection)
		require.EqualError(t, err, `hook "hook": it rejects the launch: frozen: "\x1b[2J"`)
	}
	noneLeft(t)
}

// TestLateTellsHowMuchItComputed tells a guest that computes from one that a busy
// machine kept waiting.
func TestLateTellsHowMuchItComputed(t *testing.T) {
	_, err := Run(t.Context(), hookOf(t, command(loop())), Input{}, Options{Worker: RunWorker(), Deadline: 500 * time.Millisecond})
	require.Regexp(t, `did not end within 500ms of processor time and was killed, after [1-9][0-9]*ms of it`, err.Error())
}

// TestABusyMachineIsNotTheGuestsFault watches a process that gets no processor.
func TestABusyMachineIsNotTheGuestsFault(t *testing.T) {
	l := &limit{deadline: 200 * time.Millisecond, began: time.Now(), end: func() {}}
	idle := exec.Command("sleep", "60")
	require.NoError(t, idle.Start())
	defer func() { _ = idle.Process.Kill(); _ = idle.Wait() }()
	done := l.watch(idle.Process.Pid)
	<-time.After(2 * l.deadline)
	require.False(t, l.isOver(), "it has used nothing")
	for begin := time.Now(); !l.isOver() && time.Since(begin) < 20*time.Second; {
		<-time.After(time.Millisecond)
	}
	require.True(t, l.isOver(), "the clock ends what uses nothing")
	require.GreaterOrEqual(t, time.Since(l.began), busyFactor*l.deadline)
	done(0)
}

func TestRunRefuses(t *testing.T) {
	good := hookOf(t, says(goodReply))
	w := RunWorker()
	for name, c := range map[string]struct {
		hook Hook
		o    Options
		want string
	}{
		"no worker":     {good, Options{}, "RunWorker first in main"},
		"no module":     {Hook{Name: "a"}, Options{Worker: w}, "no module"},
		"zero module":   {Hook{Name: "a", Module: &Module{}}, Options{Worker: w}, "no module"},
		"no name":       {Hook{Module: good.Module}, Options{Worker: w}, "name"},
		"engine":        {good, Options{Worker: w, Engine: "fast"}, "engine"},
		"deadline":      {good, Options{Worker: w, Deadline: time.Hour}, "deadline"},
		"no program":    {good, Options{Worker: WorkerAt("/nowhere")}, "start its worker"},
		"relative":      {good, Options{Worker: WorkerAt("worker")}, "not absolute"},
		"other program": {good, Options{Worker: WorkerAt("/bin/true")}, "RunWorker first in main"},
	} {
		_, err := Run(t.Context(), c.hook, Input{}, c.o)
		require.ErrorContains(t, err, c.want, name)
		got, _ := code.Of(err)
		require.Equal(t, code.HookFailed, got, name)
	}
}

// TestSameInputSameOutput also shows that nothing of one run is in the next: the
// guest sends its whole input to standard error.
func TestSameInputSameOutput(t *testing.T) {
	o := Options{Worker: RunWorker(), Deadline: 20 * time.Second}
	g := echo()
	g.data = goodReply
	h := hookOf(t, g)
	random := command(i32(2048), i32(64), call(randomGet), 0x1a,
		store(0, 2048), store(4, 64), i32(2), i32(0), i32(1), i32(8), call(fdWrite), 0x1a, write(1, int64(len(goodReply))))
	random.data = goodReply
	r := hookOf(t, random)
	var same []byte
	for _, o.Engine = range engines() {
		for i := range runs(t) {
			in := Input{Service: "app", Env: map[string]string{"SECRET": fmt.Sprint("value", i)}}
			result, err := Run(t.Context(), h, in, o)
			require.NoError(t, err)
			want, err := in.encode()
			require.NoError(t, err)
			require.Equal(t, string(want), string(result.Stderr))
			result, err = Run(t.Context(), r, in, o)
			require.NoError(t, err)
			if same == nil {
				same = result.Stderr
			}
			require.Len(t, result.Stderr, 64)
			require.Equal(t, same, result.Stderr, "random bytes are the same each time")
		}
	}
}

// runs is how often a test repeats itself: SPAWNWARD_HOOK_RUNS, or a few times.
func runs(t *testing.T) int {
	t.Helper()
	text, ok := os.LookupEnv("SPAWNWARD_HOOK_RUNS")
	if !ok {
		return 10
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

// TestNothingOfTheRunBefore lets a guest look for a secret in its memory that a
// run before it was given.
func TestNothingOfTheRunBefore(t *testing.T) {
	o := Options{Worker: RunWorker(), Deadline: 20 * time.Second}
	reads := echo()
	reads.data = goodReply
	for _, o.Engine = range engines() {
		in := Input{Env: map[string]string{"SECRET": strings.Repeat("secret", 1000)}}
		result, err := Run(t.Context(), hookOf(t, reads), in, o)
		require.NoError(t, err)
		require.Contains(t, string(result.Stderr), "secretsecret")
		for _, from := range []int64{1100, 2048, 65536, 3 * 65536} {
			looks := command(store(0, from), store(4, maxStderr), i32(2), i32(0), i32(1), i32(8), call(fdWrite), 0x1a, write(1, int64(len(goodReply))))
			looks.data = goodReply
			result, err = Run(t.Context(), hookOf(t, looks), in, o)
			require.NoError(t, err)
			require.Equal(t, make([]byte, maxStderr), result.Stderr)
		}
	}
}

func TestHooksAtOnce(t *testing.T) {
	o := Options{Worker: RunWorker(), Deadline: 5 * time.Second}
	good, bad := hookOf(t, says(goodReply)), hookOf(t, command(loop()))
	done := make(chan error)
	go func() {
		short := o
		short.Deadline = time.Second
		_, err := Run(t.Context(), bad, Input{}, short)
		done <- err
	}()
	for range 8 {
		go func() {
			_, err := Run(t.Context(), good, Input{}, o)
			done <- err
		}()
	}
	failures := 0
	for range 9 {
		if err := <-done; err != nil {
			require.ErrorContains(t, err, "did not end within")
			failures++
		}
	}
	require.Equal(t, 1, failures)
	noneLeft(t)
}

// BenchmarkDeadline tells by how much a run that is killed outlasts its deadline.
func BenchmarkDeadline(b *testing.B) {
	const deadline = 100 * time.Millisecond
	for name, c := range hostile() {
		if c.want != "did not end within" && c.want != "" {
			continue
		}
		h := hookOf(b, c.guest)
		for _, engine := range engines() {
			b.Run(strings.ReplaceAll(name, " ", "-")+"/"+string(engine), func(b *testing.B) {
				var over time.Duration
				for b.Loop() {
					began := time.Now()
					_, err := Run(b.Context(), h, Input{}, Options{Worker: RunWorker(), Engine: engine, Deadline: deadline})
					require.Error(b, err)
					over = max(over, time.Since(began)-deadline)
				}
				b.ReportMetric(float64(over.Microseconds())/1000, "ms-over")
			})
		}
	}
}

// processorTime reports what launcher and workers took of the processors, which
// says more than the clock where others are at work.
func usedByChildren(b *testing.B) func() {
	b.Helper()
	used := func() (sum time.Duration) {
		for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
			var r unix.Rusage
			require.NoError(b, unix.Getrusage(who, &r))
			sum += time.Duration(r.Utime.Nano() + r.Stime.Nano())
		}
		return sum
	}
	began := used()
	return func() { b.ReportMetric(float64((used()-began).Microseconds())/1000/float64(b.N), "cpu-ms/op") }
}

func BenchmarkRun(b *testing.B) {
	o := Options{Worker: RunWorker()}
	for _, o.Engine = range engines() {
		b.Run(string(o.Engine), func(b *testing.B) {
			h := hookOf(b, says(goodReply))
			defer usedByChildren(b)()
			for b.Loop() {
				if _, err := Run(b.Context(), h, Input{}, o); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRunGo runs the example that hook init writes, as the Go tool builds
// it.
func BenchmarkRunGo(b *testing.B) {
	dir := b.TempDir()
	for _, name := range []string{"main.go", "go.mod"} {
		text, err := os.ReadFile("examples/start/go/" + name + ".txt")
		require.NoError(b, err)
		require.NoError(b, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", "hook.wasm", ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	out, err := build.CombinedOutput()
	require.NoError(b, err, "%s", out)
	data, err := os.ReadFile(filepath.Join(dir, "hook.wasm"))
	require.NoError(b, err)
	m, err := Check(data)
	require.NoError(b, err)
	b.Run("gate", func(b *testing.B) {
		for b.Loop() {
			_, _ = Check(data)
		}
	})
	run := func(b *testing.B, o Options) {
		_, err := Run(b.Context(), Hook{Name: "hook", Module: m}, Input{}, o)
		require.NoError(b, err)
	}
	for _, engine := range engines() {
		b.Run(string(engine), func(b *testing.B) {
			defer usedByChildren(b)()
			for b.Loop() {
				run(b, Options{Worker: RunWorker(), Engine: engine, Deadline: 20 * time.Second})
			}
		})
	}
	b.Run("compiler-cached", func(b *testing.B) {
		o, _ := cached(b)
		run(b, o)
		defer usedByChildren(b)()
		for b.Loop() {
			run(b, o)
		}
	})
}
