package confine_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/confine"
	"github.com/spawnward/spawnward/spawner/process"
)

// seen is what a process is and may, by its own account or by /proc.
type seen struct {
	Status      map[string]string // NoNewPrivs, CapEff, CapPrm, CapInh, CapBnd, CapAmb, Umask
	NoFile      unix.Rlimit
	Core        unix.Rlimit
	OOMScoreAdj string
	Nice        int
	Cgroup      string
	Denied      []string // what could not be done of what the test asked to try
}

func TestMain(m *testing.M) {
	switch os.Getenv("CONFINE_TEST") {
	case "report":
		child(os.Getenv("REPORT"))
	case "self":
		self(os.Getenv("REPORT"))
	default:
		os.Exit(m.Run())
	}
}

func child(to string) {
	s := look("self")
	for _, try := range strings.Fields(os.Getenv("TRY")) {
		verb, path, _ := strings.Cut(try, ":")
		if attempt(verb, path) != nil {
			s.Denied = append(s.Denied, try)
		}
	}
	data, _ := json.Marshal(s)
	_ = os.WriteFile(to, data, 0o600)
}

func attempt(verb, path string) error {
	switch verb {
	case "read":
		f, err := os.Open(path)
		if err == nil {
			_ = f.Close()
		}
		return err
	case "list":
		_, err := os.ReadDir(path)
		return err
	case "truncate":
		return os.Truncate(path, 0)
	case "write":
		return os.WriteFile(path, []byte("x"), 0o600)
	case "exec":
		p, err := os.StartProcess(path, []string{path}, &os.ProcAttr{})
		if err == nil {
			_, _ = p.Wait()
		}
		return err
	}
	return errors.New("unknown")
}

// look reads what the kernel says of a process.
func look(pid string) seen {
	s := seen{Status: map[string]string{}}
	text, _ := os.ReadFile("/proc/" + pid + "/status")
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		if strings.HasPrefix(name, "Cap") || name == "NoNewPrivs" || name == "Umask" {
			s.Status[name] = strings.TrimSpace(value)
		}
	}
	score, _ := os.ReadFile("/proc/" + pid + "/oom_score_adj")
	s.OOMScoreAdj = strings.TrimSpace(string(score))
	groups, _ := os.ReadFile("/proc/" + pid + "/cgroup")
	for line := range strings.Lines(string(groups)) {
		if group, ok := strings.CutPrefix(line, "0::"); ok {
			s.Cgroup = strings.TrimSpace(group)
		}
	}
	n, _ := strconv.Atoi(pid)
	_ = unix.Prlimit(n, unix.RLIMIT_NOFILE, nil, &s.NoFile)
	_ = unix.Prlimit(n, unix.RLIMIT_CORE, nil, &s.Core)
	raw, _ := unix.Getpriority(unix.PRIO_PROCESS, n)
	s.Nice = 20 - raw // the system call, unlike the function, gives 1 to 40
	return s
}

// launched is a confined child and what it said.
type launched struct {
	atStop, own seen
}

// launch starts this test binary confined, looks at it in its stop, and lets it
// report.
func launch(t *testing.T, c *admission.Confine, env ...string) launched {
	t.Helper()
	dir := t.TempDir()
	f, p, err := begin(t, c, dir, env...)
	require.NoError(t, err)
	defer f.Close()
	var l launched
	l.atStop = look(strconv.Itoa(p.PID()))
	require.NoError(t, p.Release())
	select {
	case <-p.Done():
	case <-time.After(30 * time.Second):
		t.Fatal("the child does not end")
	}
	e, _ := p.Exit()
	p.Reap()
	data, err := os.ReadFile(filepath.Join(dir, "report"))
	require.NoError(t, err, "%v", e)
	require.NoError(t, json.Unmarshal(data, &l.own))
	return l
}

func begin(t *testing.T, c *admission.Confine, dir string, env ...string) (*os.File, *process.Process, error) {
	t.Helper()
	binary, err := os.Executable()
	require.NoError(t, err)
	f, err := os.Open(binary)
	require.NoError(t, err)
	plan, err := confine.New(c, &admission.Confine{}, confine.Places{Binary: binary, Interpreter: interpreter(), RunDir: dir})
	require.NoError(t, err)
	require.NoError(t, plan.Check())
	applied, err := plan.Open(f)
	require.NoError(t, err)
	defer applied.Close()
	stopper, err := process.NewStopper()
	require.NoError(t, err)
	p, err := process.Start(process.Spec{
		File: f, Name: "confined", LinkDir: t.TempDir(), Argv: []string{"confined"}, Dir: "/", Stop: stopper, OnThread: applied.OnThread,
		Env: append([]string{"CONFINE_TEST=report", "REPORT=" + filepath.Join(dir, "report")}, env...),
	})
	if err != nil {
		return f, nil, err
	}
	t.Cleanup(func() { _ = p.Close() })
	return f, p, applied.InStop(p.PID())
}

// interpreter is this test's own, where it is no static program.
func interpreter() string {
	const loader = "/lib64/ld-linux-x86-64.so.2"
	if path, err := filepath.EvalSymlinks(loader); err == nil {
		return path
	}
	return "/lib"
}

// TestChildIsConfinedAndNobodyElse asks for everything that an ordinary user
// may ask for.
func TestChildIsConfinedAndNobodyElse(t *testing.T) {
	before := everyThread(t)
	l := launch(t, &admission.Confine{
		NoNewPrivs: true, Umask: "0077", Nice: at(7), OOMScoreAdj: at(400), DropCaps: admission.DropCaps{All: true},
		Limits: admission.Limits{"nofile": {Soft: 64, Hard: 128}, "core": {}},
	})
	for when, s := range map[string]seen{"in the stop": l.atStop, "by its own account": l.own} {
		require.Equal(t, "1", s.Status["NoNewPrivs"], when)
		require.Equal(t, "0077", s.Status["Umask"], when)
		for _, set := range []string{"CapEff", "CapPrm", "CapInh", "CapAmb"} {
			require.Equal(t, "0000000000000000", s.Status[set], "%s: %s", when, set)
		}
		require.Equal(t, unix.Rlimit{}, s.Core, when)
		require.Equal(t, uint64(128), s.NoFile.Max, when)
		require.Equal(t, "400", s.OOMScoreAdj, when)
		require.Equal(t, 7, s.Nice, when)
	}
	require.Equal(t, uint64(64), l.atStop.NoFile.Cur) // a Go program raises its own to the hard one
	if os.Geteuid() == 0 {
		require.Equal(t, "0000000000000000", l.own.Status["CapBnd"])
	}
	require.Equal(t, before, everyThread(t), "the host program is as it was")
}

// everyThread reads what may not change of every thread of this program that
// was there before.
func everyThread(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	self := look("self")
	out["process"] = self.OOMScoreAdj + " " + self.Cgroup + " " + strconv.FormatUint(self.NoFile.Max, 10)
	main := look("self/task/" + strconv.Itoa(os.Getpid()))
	for name, value := range main.Status {
		out["main "+name] = value
	}
	tasks, err := os.ReadDir("/proc/self/task")
	require.NoError(t, err)
	for _, task := range tasks {
		s := look("self/task/" + task.Name())
		require.Equal(t, main.Status, s.Status, "threads differ")
	}
	return out
}

func TestSingleCapabilities(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: an ordinary user has no capability to lose")
	}
	all := look("self")
	mask, err := strconv.ParseUint(all.Status["CapEff"], 16, 64)
	require.NoError(t, err)
	want := strconv.FormatUint(mask&^(1<<unix.CAP_NET_RAW|1<<unix.CAP_SETPCAP), 16)
	l := launch(t, &admission.Confine{DropCaps: admission.DropCaps{Names: []string{"CAP_NET_RAW", "CAP_SETPCAP"}}})
	for _, set := range []string{"CapEff", "CapPrm", "CapBnd"} {
		require.Equal(t, want, strings.TrimLeft(l.own.Status[set], "0"), set)
	}
	require.Equal(t, "0", l.own.Status["NoNewPrivs"])
}

func TestLandlock(t *testing.T) {
	needLandlock(t)
	dir := t.TempDir()
	open, closed := filepath.Join(dir, "open"), filepath.Join(dir, "closed")
	for _, d := range []string{open, closed} {
		require.NoError(t, os.Mkdir(d, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(d, "f"), []byte("text"), 0o600))
	}
	try := "read:" + open + "/f list:" + open + " write:" + open + "/new truncate:" + open + "/f" +
		" read:" + closed + "/f list:" + closed + " write:" + closed + "/new truncate:" + closed + "/f" +
		" read:/etc/passwd write:/dev/null exec:/bin/true"
	l := launch(t, &admission.Confine{Landlock: &admission.Landlock{Read: []string{open}}}, "TRY="+try)
	require.Equal(t, []string{
		"write:" + open + "/new", "truncate:" + open + "/f", "read:" + closed + "/f", "list:" + closed, "write:" + closed + "/new",
		"truncate:" + closed + "/f", "read:/etc/passwd", "exec:/bin/true",
	}, l.own.Denied)
	require.Equal(t, "1", l.atStop.Status["NoNewPrivs"], "Landlock needs it")
	text, err := os.ReadFile(filepath.Join(closed, "f"))
	require.NoError(t, err, "the host program reads what it likes")
	require.Equal(t, "text", string(text))

	l = launch(t, &admission.Confine{Landlock: &admission.Landlock{
		Read: []string{"/etc", "/bin"}, Exec: []string{"/bin"}, Write: []string{open}}}, "TRY="+try)
	require.Equal(t, []string{"read:" + open + "/f", "list:" + open, "read:" + closed + "/f", "list:" + closed, "write:" + closed + "/new", "truncate:" + closed + "/f"}, l.own.Denied)
}

func needLandlock(t *testing.T) {
	t.Helper()
	for _, key := range confine.Available(true) {
		if key == "landlock" {
			return
		}
	}
	t.Skip("needs Landlock of version 3 (Linux 6.2) or later")
}

// group makes a control group of version 2 for one test.
func group(t *testing.T) string {
	t.Helper()
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var st unix.Statfs_t
		if unix.Statfs(root, &st) != nil || st.Type != unix.CGROUP2_SUPER_MAGIC {
			continue
		}
		dir, err := os.MkdirTemp(root, "spawnward-test-")
		if err != nil {
			break
		}
		t.Cleanup(func() { require.NoError(t, os.Remove(dir)) })
		return filepath.Base(dir)
	}
	t.Skip("needs a writable control group file system of version 2")
	return ""
}

func TestCgroup(t *testing.T) {
	name := group(t)
	before := look("self").Cgroup
	l := launch(t, &admission.Confine{Cgroup: name})
	require.Equal(t, "/"+name, l.atStop.Cgroup)
	require.Equal(t, "/"+name, l.own.Cgroup)
	require.Equal(t, before, look("self").Cgroup)
}

func TestWhatCannotBeHad(t *testing.T) {
	for _, c := range []struct {
		name    string
		confine admission.Confine
		want    string
	}{
		{"missing group", admission.Confine{Cgroup: "spawnward-is-not-there"}, "cgroup: "},
		{"group outside", admission.Confine{Cgroup: "../../etc"}, "cgroup: "},
		{"capability", admission.Confine{DropCaps: admission.DropCaps{Names: []string{"CAP_FLY"}}}, `drop_caps: there is no capability "CAP_FLY"`},
		{"limit", admission.Confine{Limits: admission.Limits{"files": {}}}, "limits.files: there is no such limit"},
		{"path", admission.Confine{Landlock: &admission.Landlock{Read: []string{"/not-there"}}}, "landlock: "},
	} {
		plan, err := confine.New(&admission.Confine{}, &c.confine, confine.Places{})
		require.NoError(t, err)
		err = plan.Check()
		require.ErrorContains(t, err, c.want, c.name)
		got, _ := code.Of(err)
		require.Equal(t, code.ConfinementUnavail, got)
	}
	plan, err := confine.New(&admission.Confine{Nice: at(3), NoNewPrivs: true}, &admission.Confine{}, confine.Places{})
	require.NoError(t, err)
	require.ErrorIs(t, plan.Unheld(), confine.ErrNoStop)
}

// TestRefusedInTheStop: what only the kernel can refuse is refused before the
// first instruction.
func TestRefusedInTheStop(t *testing.T) {
	dir := t.TempDir()
	f, p, err := begin(t, &admission.Confine{Limits: admission.Limits{"nofile": {Soft: 1 << 60, Hard: 1 << 60}}}, dir)
	require.ErrorContains(t, err, "limits.nofile: ")
	defer f.Close()
	require.NoError(t, p.Close())
	require.NoFileExists(t, filepath.Join(dir, "report"))
}

// self is a process that becomes a confined one.
func self(to string) {
	runtime.LockOSThread()
	binary, _ := os.Executable()
	f, err := os.Open(binary)
	if err != nil {
		os.Exit(3)
	}
	plan, err := confine.New(&admission.Confine{
		NoNewPrivs: true, Umask: "0077", Nice: at(9), OOMScoreAdj: at(300), DropCaps: admission.DropCaps{All: true},
		Limits:   admission.Limits{"nofile": {Soft: 50, Hard: 50}},
		Landlock: landlockHere(filepath.Dir(to)),
	}, &admission.Confine{}, confine.Places{Binary: binary, Interpreter: interpreter()})
	if err != nil {
		os.Exit(4)
	}
	if err := plan.ApplySelf(f); err != nil {
		_ = os.WriteFile(to, []byte(err.Error()), 0o600)
		os.Exit(5)
	}
	err = process.Become(process.Spec{File: f, Argv: []string{"confined"}, Dir: "/",
		Env: []string{"CONFINE_TEST=report", "REPORT=" + to, "TRY=read:/etc/passwd"}})
	_ = os.WriteFile(to, []byte(err.Error()), 0o600)
	os.Exit(6)
}

func landlockHere(dir string) *admission.Landlock {
	for _, key := range confine.Available(true) {
		if key == "landlock" {
			return &admission.Landlock{Write: []string{dir}, Read: []string{"/proc"}}
		}
	}
	return nil
}

func TestApplySelf(t *testing.T) {
	to := filepath.Join(t.TempDir(), "report")
	binary, err := os.Executable()
	require.NoError(t, err)
	p, err := os.StartProcess(binary, []string{binary}, &os.ProcAttr{Env: []string{"CONFINE_TEST=self", "REPORT=" + to}})
	require.NoError(t, err)
	state, err := p.Wait()
	require.NoError(t, err)
	data, err := os.ReadFile(to)
	require.NoError(t, err, "%v", state)
	var s seen
	require.NoError(t, json.Unmarshal(data, &s), "%s", data)
	require.Equal(t, "1", s.Status["NoNewPrivs"])
	require.Equal(t, "0077", s.Status["Umask"])
	require.Equal(t, "0000000000000000", s.Status["CapEff"])
	require.Equal(t, unix.Rlimit{Cur: 50, Max: 50}, s.NoFile)
	require.Equal(t, "300", s.OOMScoreAdj)
	require.Equal(t, 9, s.Nice)
	if landlockHere("/") != nil {
		require.Equal(t, []string{"read:/etc/passwd"}, s.Denied)
	}
}
