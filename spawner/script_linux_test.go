package spawner_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/conformance/scripted"
	"github.com/spawnward/spawnward/spawner"
	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/confine"
	"github.com/spawnward/spawnward/spawner/service"
)

// interpret is what the test's own binary does as the interpreter of a script:
// the script's second line is a part to play, or a mark to leave.
func interpret(path string, args []string) int {
	text, err := os.ReadFile(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, "interpret:", err)
		return 9
	}
	line := strings.Split(string(text), "\n")[1]
	if mark, ok := strings.CutPrefix(line, "mark "); ok {
		_ = os.WriteFile(mark, []byte(path), 0o600)
		return 8
	}
	return scripted.Run(context.Background(), append([]string{line}, args...), scripted.Stdio{Out: os.Stdout, Err: os.Stderr})
}

// recorder is a policy that remembers what it was asked.
type recorder struct {
	decider
	deny func(*admission.Input) bool
	mu   sync.Mutex
	in   []*admission.Input
}

func (r *recorder) Decide(ctx context.Context, in *admission.Input) (admission.Decision, error) {
	r.mu.Lock()
	r.in = append(r.in, in)
	r.mu.Unlock()
	d, err := r.decider.Decide(ctx, in)
	if r.deny != nil && r.deny(in) {
		d.Allow, d.Violations = false, []admission.Finding{{Code: code.DigestNotListed, Enforcement: code.Mandatory}}
	}
	return d, err
}

type scriptWorld struct {
	*world
	policy *recorder
	script string
	mark   string
}

func newScriptWorld(t *testing.T) *scriptWorld {
	t.Helper()
	w := &scriptWorld{world: newWorld(t), policy: &recorder{}}
	w.o.Decider = w.policy
	w.script, w.mark = filepath.Join(w.root, "start-app"), filepath.Join(t.TempDir(), "mark")
	w.write(t, w.script, w.good())
	return w
}

func (w *scriptWorld) good() string { return "#! " + w.binary + " interpret\ngood\n" }

func (w *scriptWorld) evil() string { return "#! " + w.binary + " interpret\nmark " + w.mark + "\n" }

func (w *scriptWorld) write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o755))
}

func (w *scriptWorld) ask() spawner.Request {
	return w.request("good", func(d *service.Definition) {
		d.BinaryPath, d.Launch.Args = w.script, []string{"--pids=" + w.pids}
	})
}

func digestOfText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// TestScriptIsGivenToItsInterpreter: two decisions, one process, one more
// descriptor than a program has.
func TestScriptIsGivenToItsInterpreter(t *testing.T) {
	w := newScriptWorld(t)
	if slices.Contains(confine.Available(true), "landlock") {
		w.policy.change = func(d *admission.Decision) {
			d.Obligations.Confine.Landlock = &admission.Landlock{Read: []string{"/proc", "/sys", "/etc"}, Write: []string{filepath.Dir(w.pids)}}
		}
	}
	h, err := w.local().Launch(context.Background(), w.ask())
	require.NoError(t, err)
	require.Len(t, w.policy.in, 2)
	first, second := w.policy.in[0], w.policy.in[1]
	require.Equal(t, "script", first.Binary.Format)
	require.Equal(t, admission.Script{}, first.Script)
	require.Equal(t, w.binary, second.Binary.Path)
	require.Equal(t, "elf", second.Binary.Format)
	require.Equal(t, w.root, second.Root.Path)
	require.True(t, second.Binary.InsideRoot)
	require.Equal(t, admission.Script{Path: w.script, SHA256: digestOfText(w.good()), Size: int64(len(w.good())), Argument: "interpret"}, second.Script)

	id := h.Identity()
	require.Equal(t, w.binary, id.ExePath)
	require.Equal(t, second.Binary.SHA256, id.ExeSHA256)
	require.Equal(t, &spawner.Script{Path: w.script, SHA256: digestOfText(w.good())}, h.Report().Script)
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", id.PID))
	require.NoError(t, err)
	require.Equal(t, "start-app\n", string(comm))
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", id.PID))
	require.NoError(t, err)
	argv := strings.Split(strings.TrimSuffix(string(cmdline), "\x00"), "\x00")
	require.Equal(t, second.Request.Args, argv[1:])
	require.Equal(t, w.binary, argv[0])
	require.Regexp(t, `^/proc/self/fd/[0-9]+$`, argv[2])
	inherited, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", id.PID, filepath.Base(argv[2])))
	require.NoError(t, err)
	require.Equal(t, "/memfd:start-app (deleted)", inherited)
	err = os.WriteFile(fmt.Sprintf("/proc/%d/fd/%s", id.PID, filepath.Base(argv[2])), []byte("x"), 0)
	require.Error(t, err, "the copy is sealed")

	again, err := w.local().Launch(context.Background(), w.ask())
	require.NoError(t, err)
	require.Equal(t, spawner.Reused, again.Report().Outcome)
	require.Equal(t, id.PID, again.Identity().PID)
	w.write(t, w.script, w.good()+"# another one\n")
	other, err := w.local().Launch(context.Background(), w.ask())
	require.NoError(t, err)
	require.Equal(t, spawner.Launched, other.Report().Outcome, "another script is another backend")
	require.Equal(t, id.ExeSHA256, other.Identity().ExeSHA256)
	stop(t, other)
	stop(t, h)
	w.clean(t)
}

func TestScriptsThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"env":      {"#!/usr/bin/env sh\n", "env looks for the interpreter in PATH"},
		"relative": {"#!sh\n", "no absolute path"},
		"missing":  {"#!/not/there\n", "cannot be measured"},
		"long":     {"#!/bin/sh " + strings.Repeat("x", 300) + "\n", "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newScriptWorld(t)
			w.write(t, w.script, c.text)
			_, err := w.local().Launch(context.Background(), w.ask())
			require.ErrorContains(t, err, c.want)
			got, _ := code.Of(err)
			require.Equal(t, code.BinaryIsScript, got)
			w.clean(t)
		})
	}
	t.Run("nested", func(t *testing.T) {
		w := newScriptWorld(t)
		inner := filepath.Join(w.root, "inner")
		w.write(t, inner, w.good())
		w.write(t, w.script, "#!"+inner+"\n")
		_, err := w.local().Launch(context.Background(), w.ask())
		require.ErrorContains(t, err, "is no program (format script)")
		w.clean(t)
	})
	t.Run("interpreter denied", func(t *testing.T) {
		w := newScriptWorld(t)
		w.policy.deny = func(in *admission.Input) bool { return in.Script.Path != "" }
		_, err := w.local().Launch(context.Background(), w.ask())
		var denied *spawner.DeniedError
		require.ErrorAs(t, err, &denied)
		w.clean(t)
	})
}

// TestScriptSwappedAfterMeasuring: whatever becomes of the file after it was
// measured, the interpreter reads what was measured.
func TestScriptSwappedAfterMeasuring(t *testing.T) {
	swaps := map[string]func(*testing.T, *scriptWorld){
		"rename": func(t *testing.T, w *scriptWorld) {
			w.write(t, w.script+".new", w.evil())
			require.NoError(t, os.Rename(w.script+".new", w.script))
		},
		"rewrite": func(t *testing.T, w *scriptWorld) { w.write(t, w.script, w.evil()) },
		"remove":  func(t *testing.T, w *scriptWorld) { require.NoError(t, os.Remove(w.script)) },
	}
	for name, swap := range swaps {
		for _, at := range []spawner.Step{spawner.Decide, spawner.Intend, spawner.Spawn} {
			t.Run(name+" after "+string(at), func(t *testing.T) {
				w := newScriptWorld(t)
				w.observe = func(e spawner.Event) {
					if e.Step == at {
						swap(t, w)
					}
				}
				h, err := w.local().Launch(context.Background(), w.ask())
				require.NoError(t, err)
				require.NoFileExists(t, w.mark)
				stop(t, h)
				w.clean(t)
			})
		}
	}
}

// TestScriptRace has another goroutine exchange the script all the time, with
// the digest of the good one pinned: only it ever runs.
func TestScriptRace(t *testing.T) {
	w := newScriptWorld(t)
	pinned := digestOfText(w.good())
	w.policy.deny = func(in *admission.Input) bool {
		return in.Binary.SHA256 != pinned && in.Script.SHA256 != pinned
	}
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-end:
				return
			default:
			}
			text := w.good()
			if i%2 == 0 {
				text = w.evil()
			}
			_ = os.WriteFile(w.script+".new", []byte(text), 0o755)
			_ = os.Rename(w.script+".new", w.script)
		}
	}()
	// The file changes all the time, so that most launches meet another one than
	// they measured, and more the busier the machine is.
	launched := 0
	for i := 0; i < 30 || launched == 0 && i < 3000; i++ {
		h, err := w.local().Launch(context.Background(), w.ask())
		if err == nil {
			launched++
			_, err := h.Stop(context.Background(), 10*time.Second)
			require.NoError(t, err)
		}
		require.NoFileExists(t, w.mark)
	}
	close(end)
	<-done
	require.Positive(t, launched, "launches succeed in the gaps")
	w.clean(t)
}
