package decisionlog

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
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("DECISIONLOG_WRITER"); dir != "" {
		syscall.Exit(writer(dir))
	}
	m.Run()
}

// writer appends pairs of events from a process of its own.
func writer(dir string) int {
	l := New(os.Geteuid(), dir, "log")
	for i := range 40 {
		id := fmt.Sprintf("%d-%d", os.Getpid(), i)
		if l.Decision(context.Background(), decision(id, 20_000)) != nil || l.Outcome(context.Background(), outcome(id, 20_000)) != nil {
			return 1
		}
	}
	return 0
}

func decision(id string, maxBytes int64) *Decision {
	secret := admission.EnvVar{Name: "TOKEN", Value: "hunter2-secret", Origin: admission.OriginPass}
	return &Decision{
		ID: id,
		Input: &admission.Input{
			Schema: 1, NowNS: 7, Request: admission.Request{Service: "redis", Version: "7.0.15", Args: []string{"--port"}, Trace: admission.Trace{Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}},
			Env:      []admission.EnvVar{{Name: "HOME", Value: "/home/app", Origin: admission.OriginBaseline}, secret},
			Hooks:    []admission.HookRun{{Name: "h", Detail: "rejected: hunter2-secret"}},
			EnvFacts: admission.EnvFacts{Invalid: []string{}, Foreign: []admission.EnvVar{secret}},
		},
		Result: &admission.Decision{Schema: 1, Allow: false, Violations: []admission.Finding{
			{Code: "site_token", Rule: "site.data", Message: "bad hunter2-secret", Evidence: map[string]any{"list": []any{"x hunter2-secret"}, "n": json.Number("1")}},
			{Code: code.BinaryHardLinks, Rule: "launch.rules.file", Message: "links", Evidence: map[string]any{"links": 2}},
		}},
		Durations: map[string]int64{"decide": 60},
		Settings:  admission.LogSettings{MaxBytes: maxBytes},
	}
}

func outcome(id string, maxBytes int64) *Outcome {
	return &Outcome{
		ID: id, Service: "redis", Version: "7.0.15", Outcome: "failed", Env: []admission.EnvVar{{Name: "TOKEN", Value: "hunter2-secret"}},
		Error: &Problem{code.ExitedEarly, "it said: no hunter2-secret here"}, Settings: admission.LogSettings{MaxBytes: maxBytes},
	}
}

func fresh(t *testing.T) *Log {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	l := New(os.Geteuid(), dir, "log")
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

func verified(t *testing.T, l *Log, head string) *Verification {
	t.Helper()
	paths, err := l.Files()
	require.NoError(t, err)
	files := []File{}
	for _, p := range paths {
		text, err := os.ReadFile(p)
		require.NoError(t, err)
		files = append(files, File{filepath.Base(p), bytes.NewReader(text)})
	}
	v, err := Verify(files, head)
	require.NoError(t, err)
	return v
}

func content(t *testing.T, l *Log) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(l.Path(), Current))
	require.NoError(t, err)
	return string(text)
}

// TestQuotedValuesAreMasked has a value that looks different in quotes, in which
// what a hook or a backend said always stands.
func TestQuotedValuesAreMasked(t *testing.T) {
	const value = "pä$$\"wörd\\-\n\x1bsecret"
	l := fresh(t)
	d, o := decision("1", 0), outcome("1", 0)
	d.Input.EnvFacts.Foreign[0].Value, o.Env[0].Value = value, value
	d.Input.Hooks[0].Detail = "no: " + strconv.QuoteToASCII("it is "+value)
	d.Result.Violations[0].Rule = "launch.rules.hook"
	d.Result.Violations[0].Message = fmt.Sprintf("it rejects: %+q", value+".")
	d.Result.Violations[0].Evidence = map[string]any{"reason": fmt.Sprintf("%q", value)}
	o.Error.Message = fmt.Sprintf("it said: %q", "x"+value)
	require.NoError(t, l.Decision(t.Context(), d))
	require.NoError(t, l.Outcome(t.Context(), o))
	text := content(t, l)
	require.NotContains(t, text, "secret")
	require.Contains(t, text, "it is [masked]")
	require.Contains(t, text, `it said: \"x[masked]\"`)
}

func TestEventsAreChainedAndMasked(t *testing.T) {
	l := fresh(t)
	files, err := l.Files()
	require.NoError(t, err)
	require.Empty(t, files)
	require.NoError(t, l.Decision(t.Context(), decision("1", 0)))
	require.NoError(t, l.Outcome(t.Context(), outcome("1", 0)))
	text := content(t, l)
	require.NotContains(t, text, "hunter2")
	require.NotContains(t, text, "/home/app")
	require.Contains(t, text, "TOKEN")
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	require.Len(t, lines, 2)
	e, err := Parse([]byte(lines[0]))
	require.NoError(t, err)
	require.Equal(t, []string{"/input/env/0/value", "/input/env/1/value", "/input/env_facts/foreign/0/value"}, e.Erased)
	require.Equal(t, []code.Code{"site_token", code.BinaryHardLinks}, e.Codes)
	require.Equal(t, Denied, e.Verdict)
	var raw map[string]any
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &raw))
	require.Equal(t, []any{"/input/hooks/0/detail", "/result/violations/0/message", "/result/violations/0/evidence"}, raw["masked"])
	require.Equal(t, "0af7651916cd43dd8448eb211c80319c", raw["trace_id"])
	o, err := Parse([]byte(lines[1]))
	require.NoError(t, err)
	require.Equal(t, "it said: no [masked] here", o.Error.Message)
	require.Equal(t, digest([]byte(lines[0])), o.Previous)
	v := verified(t, l, o.Previous)
	require.True(t, v.OK, v)
	require.True(t, v.Begins)
	require.Equal(t, 1, v.After)
	st, err := os.Stat(filepath.Join(l.Path(), Current))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), st.Mode())
}

func TestProcessesInterleaveWholeLines(t *testing.T) {
	l := fresh(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			c := exec.Command("/proc/self/exe")
			c.Env = append(os.Environ(), "DECISIONLOG_WRITER="+l.parent)
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	heads := sync.Map{}
	l.Rotated = func(_, head string) { heads.Store(head, true) }
	for i := range 3 {
		wg.Go(func() {
			for j := range 20 {
				if err := l.Decision(t.Context(), decision(fmt.Sprint(i, "-", j), 20_000)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	v := verified(t, l, "")
	require.True(t, v.OK, v)
	require.Equal(t, 4*80+60, v.Lines)
	require.Empty(t, v.Torn)
	files, err := l.Files()
	require.NoError(t, err)
	require.Greater(t, len(files), 5, "rotated")
	heads.Range(func(head, _ any) bool {
		require.True(t, verified(t, l, head.(string)).OK)
		return true
	})
}

// Whatever a crash leaves of a line is closed by the next one.
func TestTornLines(t *testing.T) {
	for name, rest := range map[string]string{"half": `{"previous":"`, "whole but for its end": "?", "zeros": "\x00\x00\x00", "text": "x"} {
		for _, first := range []bool{true, false} {
			t.Run(fmt.Sprint(name, first), func(t *testing.T) {
				l := fresh(t)
				require.NoError(t, l.Decision(t.Context(), decision("1", 0)))
				before := content(t, l)
				if first {
					before = ""
				}
				torn := rest
				if rest == "?" {
					torn = strings.TrimSuffix(content(t, l), "\n")
				}
				require.NoError(t, l.Close())
				require.NoError(t, os.WriteFile(filepath.Join(l.Path(), Current), []byte(before+torn), 0o600))
				require.Len(t, verified(t, l, "").Torn, 1)
				require.NoError(t, l.Decision(t.Context(), decision("2", 0)))
				require.NoError(t, l.Outcome(t.Context(), outcome("2", 0)))
				v := verified(t, l, "")
				require.True(t, v.OK, v)
				require.Len(t, v.Torn, 1)
				text := content(t, l)
				changed := strings.Replace(text, torn+"\n", strings.Repeat("y", len(torn))+"\n", 1)
				if rest == "?" && !first {
					changed = before + strings.Repeat("y", len(torn)) + text[len(before)+len(torn):]
				}
				require.NotEqual(t, text, changed)
				require.NoError(t, os.WriteFile(filepath.Join(l.Path(), Current), []byte(changed), 0o600))
				require.False(t, verified(t, l, "").OK, "what was torn cannot be changed either")
			})
		}
	}
}

func TestEveryChangeIsFound(t *testing.T) {
	l := fresh(t)
	for i := range 6 {
		require.NoError(t, l.Decision(t.Context(), decision(fmt.Sprint(i), 0)))
	}
	text := content(t, l)
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	lines[5] += "\n"
	head := verified(t, l, "").Head
	join := strings.Join
	without := func(i int) string { return join(append(append([]string{}, lines[:i]...), lines[i+1:]...), "") }
	for name, c := range map[string]struct {
		text string
		line int // of the first breach; 0 is the head that is missing
	}{
		"changed":       {strings.Replace(text, `"decision_id":"2"`, `"decision_id":"9"`, 1), 4},
		"one bit":       {text[:40] + string(text[40]^1) + text[41:], 2},
		"removed":       {without(2), 3},
		"moved":         {join([]string{lines[0], lines[2], lines[1], lines[3], lines[4], lines[5]}, ""), 2},
		"doubled":       {lines[0] + text, 2},
		"inserted":      {lines[0] + "{}\n" + join(lines[1:], ""), 2},
		"no event":      {lines[0] + "garbage\n" + join(lines[1:], ""), 2},
		"empty line":    {lines[0] + "\n" + join(lines[1:], ""), 2},
		"end cut":       {join(lines[:5], ""), 0},
		"last changed":  {strings.Replace(text, `"decision_id":"5"`, `"decision_id":"9"`, 1), 0},
		"last torn":     {strings.TrimSuffix(text, "}\n"), 0},
		"all gone":      {"", 0},
		"another's log": {strings.Replace(lines[0], `"decision_id":"0"`, `"decision_id":"7"`, 1), 0},
	} {
		v, err := Verify([]File{{"f", strings.NewReader(c.text)}}, head)
		require.NoError(t, err)
		require.False(t, v.OK, name)
		require.Equal(t, c.line, v.Breaches[0].Line, "%s: %+v", name, v.Breaches)
	}
	// Old files may be archived, and more may have come since the head was kept.
	v, err := Verify([]File{{"f", strings.NewReader(join(lines[2:], ""))}}, digest([]byte(strings.TrimSuffix(lines[4], "\n"))))
	require.NoError(t, err)
	require.True(t, v.OK)
	require.False(t, v.Begins)
	require.Equal(t, 1, v.After)
}

func TestFirstLineOfANewFileContinues(t *testing.T) {
	l := fresh(t)
	head := ""
	l.Rotated = func(file, h string) { require.Equal(t, "decisions-000001.jsonl", file); head = h }
	require.NoError(t, l.Decision(t.Context(), decision("1", 10)))
	require.NoError(t, l.Decision(t.Context(), decision("2", 1<<20)))
	require.Empty(t, head)
	require.NoError(t, l.Outcome(t.Context(), outcome("2", 10)))
	require.NotEmpty(t, head)
	e, err := Parse([]byte(strings.TrimSuffix(content(t, l), "\n")))
	require.NoError(t, err)
	require.Equal(t, head, e.Previous)
	// A crash between renaming and making the new file.
	require.NoError(t, l.Close())
	require.NoError(t, os.Remove(filepath.Join(l.Path(), Current)))
	require.NoError(t, l.Decision(t.Context(), decision("3", 0)))
	require.True(t, verified(t, l, head).OK)
	// The file is taken away under an open log.
	require.NoError(t, os.Rename(filepath.Join(l.Path(), Current), filepath.Join(l.Path(), "away")))
	require.NoError(t, l.Decision(t.Context(), decision("4", 0)))
	require.True(t, verified(t, l, head).OK, "it goes on from what is there")
}

func requireCode(t *testing.T, want code.Code, err error) {
	t.Helper()
	require.Error(t, err)
	got, _ := code.Of(err)
	require.Equal(t, want, got, "%v", err)
}

func TestUnsafePlaces(t *testing.T) {
	path := func(l *Log) string { return filepath.Join(l.Path(), Current) }
	for name, prepare := range map[string]func(l *Log){
		"a link":          func(l *Log) { require.NoError(t, os.Symlink("/dev/null", path(l))) },
		"a directory":     func(l *Log) { require.NoError(t, os.Mkdir(path(l), 0o700)) },
		"a pipe":          func(l *Log) { require.NoError(t, unix.Mkfifo(path(l), 0o600)) },
		"others may read": func(l *Log) { require.NoError(t, os.WriteFile(path(l), nil, 0o644)) },
		"two names": func(l *Log) {
			require.NoError(t, os.WriteFile(path(l), nil, 0o600))
			require.NoError(t, os.Link(path(l), path(l)+"2"))
		},
	} {
		l := fresh(t)
		require.NoError(t, os.Mkdir(l.Path(), 0o700))
		prepare(l)
		err := l.Decision(t.Context(), decision("1", 0))
		requireCode(t, code.LogFailed, err)
		require.ErrorContains(t, err, l.Path(), name)
	}
	l := fresh(t)
	require.NoError(t, os.Mkdir(l.Path(), 0o755))
	requireCode(t, code.LogFailed, l.Decision(t.Context(), decision("1", 0)))
}

func TestNeverInsideTheAllowRoot(t *testing.T) {
	l := fresh(t)
	d := decision("1", 0)
	for _, root := range []string{l.parent, filepath.Dir(l.parent), "/"} {
		var st unix.Stat_t
		require.NoError(t, unix.Stat(root, &st))
		d.Input.Root = admission.File{Path: root, Device: int64(st.Dev), Inode: int64(st.Ino)}
		requireCode(t, code.LogInAllowRoot, l.Decision(t.Context(), d))
	}
	require.Len(t, strings.Split(content(t, l), "\n"), 4, "and who tried is logged")
	var st unix.Stat_t
	require.NoError(t, unix.Stat("/usr", &st))
	d.Input.Root = admission.File{Path: "/usr", Device: int64(st.Dev), Inode: int64(st.Ino)}
	require.NoError(t, l.Decision(t.Context(), d))
}

func TestWaitingForTheLockEnds(t *testing.T) {
	l := fresh(t)
	other := New(l.uid, l.parent, l.names...)
	require.NoError(t, l.Decision(t.Context(), decision("1", 0)))
	_, _, err := l.file.Lock(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = other.Decision(ctx, decision("2", 0))
	requireCode(t, code.LogFailed, err)
	require.ErrorContains(t, err, "another process holds it")
	require.NoError(t, l.file.Unlock())
	require.NoError(t, other.Decision(t.Context(), decision("2", 0)))
	require.NoError(t, other.Close())
	require.True(t, verified(t, l, "").OK)
}

// smallDisk mounts a file system of its own.
func smallDisk(t *testing.T, options string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root mounts file systems")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("mount tmpfs: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, 0)) })
	return dir
}

func TestFullDisk(t *testing.T) {
	dir := smallDisk(t, "size=64k,mode=700")
	l := New(os.Geteuid(), dir, "log")
	defer l.Close()
	n := 0
	var err error
	for ; err == nil; n++ {
		require.Less(t, n, 1000)
		err = l.Decision(t.Context(), decision(fmt.Sprint(n), 0))
	}
	requireCode(t, code.LogFailed, err)
	require.ErrorIs(t, err, unix.ENOSPC)
	v := verified(t, l, "")
	require.True(t, v.OK)
	require.Empty(t, v.Torn, "nothing is left of what did not fit")
	require.Equal(t, n-1, v.Lines)
	require.NoError(t, unix.Mount("tmpfs", dir, "", unix.MS_REMOUNT, "size=256k"))
	require.NoError(t, l.Decision(t.Context(), decision("after", 0)))
	require.True(t, verified(t, l, v.Head).OK)
}

func TestReadOnlyDirectory(t *testing.T) {
	dir := smallDisk(t, "size=256k,mode=700")
	l := New(os.Geteuid(), dir, "log")
	defer l.Close()
	require.NoError(t, l.Decision(t.Context(), decision("1", 0)))
	require.NoError(t, l.Close())
	require.NoError(t, unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	err := l.Decision(t.Context(), decision("2", 0))
	requireCode(t, code.LogFailed, err)
	require.ErrorIs(t, err, unix.EROFS)
	v := verified(t, l, "")
	require.Equal(t, 1, v.Lines)
}

func FuzzVerify(f *testing.F) {
	// Short seeds: long ones are minimised for longer than a run lasts.
	first := []byte(`{"previous":"","event":"outcome"}`)
	second := fmt.Appendf(nil, `{"previous":%q,"event":"decision","input":{}}`, digest(first))
	f.Add(append(append(append([]byte{}, first...), '\n'), second...), digest(first))
	f.Add([]byte("{}\n{\"torn\":{\"bytes\":2,\"sha256\":\"x\"}}\n"), "")
	f.Add([]byte("\n\n\x00"), "sha256:")
	f.Fuzz(func(t *testing.T, text []byte, head string) {
		require.NoError(t, Lines(bytes.NewReader(text), func(l Line) error {
			if e, err := Parse(l.Text); err == nil {
				require.NotEmpty(t, e.Event)
			}
			return nil
		}))
		v, err := Verify([]File{{"f", bytes.NewReader(text)}}, head)
		require.NoError(t, err)
		if v.OK && head != "" {
			require.NotNil(t, v.Proven)
		}
		// What is read from the end is what is read from the start.
		at, err := readTail(bytes.NewReader(text), int64(len(text)))
		require.NoError(t, err)
		if i := bytes.LastIndexByte(text, '\n'); i >= 0 {
			start := bytes.LastIndexByte(text[:i], '\n') + 1
			require.Equal(t, digest(text[start:i]), at.head)
		}
		require.Equal(t, at.open, len(text) > 0 && text[len(text)-1] != '\n')
		// Nothing of a log can change below its head.
		if !v.OK || v.Lines < 2 {
			return
		}
		changed := bytes.Clone(text)
		changed[0] ^= 1
		again, err := Verify([]File{{"f", bytes.NewReader(changed)}}, v.Head)
		require.NoError(t, err)
		require.False(t, again.OK)
	})
}

func BenchmarkDecision(b *testing.B) {
	for _, size := range []int64{0, DefaultMaxBytes - 1<<20} {
		b.Run(fmt.Sprint("after ", size>>20, " MiB"), func(b *testing.B) {
			dir, err := os.MkdirTemp("", "")
			require.NoError(b, err)
			defer os.RemoveAll(dir)
			l := New(os.Geteuid(), dir, "log")
			require.NoError(b, l.Decision(b.Context(), decision("1", 1<<40)))
			if size > 0 {
				f, err := os.OpenFile(filepath.Join(l.Path(), Current), os.O_WRONLY|os.O_APPEND, 0)
				require.NoError(b, err)
				_, err = f.Write(bytes.Repeat([]byte(strings.Repeat("x", 4095)+"\n"), int(size/4096)))
				require.NoError(b, err)
				require.NoError(b, f.Sync()) // which the first decision would do
				require.NoError(b, f.Close())
			}
			d := decision("1", 1<<40)
			for b.Loop() {
				require.NoError(b, l.Close()) // as a command does: it opens the log anew
				require.NoError(b, l.Decision(b.Context(), d))
			}
		})
	}
	b.Run("open", func(b *testing.B) {
		dir, err := os.MkdirTemp("", "")
		require.NoError(b, err)
		defer os.RemoveAll(dir)
		l := New(os.Geteuid(), dir, "log")
		d := decision("1", 1<<40)
		for b.Loop() {
			require.NoError(b, l.Decision(b.Context(), d))
		}
	})
}
