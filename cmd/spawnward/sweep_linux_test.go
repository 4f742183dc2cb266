package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner"
	"github.com/spawnward/spawnward/spawner/fault"
)

// rounds is how often something is tried: a few times, or as often as a soak
// says.
func rounds(t *testing.T, variable string, few int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return few
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, variable)
	return n
}

// sweep launches, kills and heals one backend after the other, each with a
// version of its own and so a budget of its own.
type sweep struct {
	*bench
	binary, pids string
	version      int
}

func newSweep(t *testing.T) *sweep {
	if testing.Short() {
		t.Skip("it builds the command and launches a hundred backends")
	}
	b := newFaultyBench(t)
	binary, _ := b.backend()
	return &sweep{bench: b, binary: binary, pids: filepath.Join(filepath.Dir(b.services), "pids")}
}

func (s *sweep) args(part string) []string {
	return []string{
		"launch", "-o", "json", "--binary", s.binary, "--root", filepath.Dir(s.binary), fmt.Sprintf("app@1.0.%d", s.version),
		"--", "scripted-backend", part, "--pids=" + s.pids,
	}
}

// next begins another backend, of which nothing has run.
func (s *sweep) next() {
	s.version++
	require.NoError(s.t, os.RemoveAll(s.pids))
}

func (s *sweep) neverRan(what string) {
	s.t.Helper()
	require.NoFileExists(s.t, s.pids, "%s: a first instruction ran", what)
}

// heals demands that the next launch gives a verified backend whatever was left,
// and that nothing but what counts failures is there after its stop.
func (s *sweep) heals(what string) spawner.Outcome {
	s.t.Helper()
	var r spawner.Report
	out, said, err := s.launched()
	for range 20 {
		if !strings.Contains(said, "policy_timeout") { // a machine that is busy elsewhere
			break
		}
		out, said, err = s.launched()
	}
	require.NoError(s.t, err, "%s: %s", what, said)
	require.NoError(s.t, json.Unmarshal(out, &r))
	require.Equal(s.t, []int{r.Identity.PID}, s.running(), "%s: only the verified one runs", what)
	s.ok("stop", "app")
	s.nothing(what)
	return r.Outcome
}

func (s *sweep) launched() (out []byte, said string, err error) {
	c := s.cmd(s.args("good")...)
	var stderr strings.Builder
	c.Stderr = &stderr
	out, err = c.Output()
	return out, stderr.String(), err
}

func (s *sweep) nothing(what string) {
	s.t.Helper()
	s.empty()
	require.Empty(s.t, s.running(), what)
}

// running lists the processes of the binary, whoever knows of them. One that was
// killed with its launcher may take a moment to end.
func (s *sweep) running() []int {
	found := []int{}
	all, err := filepath.Glob("/proc/[0-9]*/exe")
	require.NoError(s.t, err)
	for _, link := range all {
		if exe, err := os.Readlink(link); err == nil && strings.TrimSuffix(exe, " (deleted)") == s.binary {
			pid, err := strconv.Atoi(strings.Split(link, "/")[2])
			require.NoError(s.t, err)
			found = append(found, pid)
		}
	}
	return found
}

// TestKilledAfterEachStep kills the launcher after each step of a launch, and
// the next launch heals what it left. SPAWNWARD_SOAK_STEPS says how often each.
func TestKilledAfterEachStep(t *testing.T) {
	s := newSweep(t)
	// In the order of a launch. What comes before the release runs nothing.
	held := []string{
		"resolve", fault.MeasureOpened, "measure", "decide", "queue", "reuse", "shape", "log", fault.IntendRecorded, fault.IntendFiles, "intend",
		fault.SpawnLinked, fault.SpawnForked, fault.SpawnHeld, fault.SpawnStarted, "spawn", "before-verify", fault.VerifyCompared,
	}
	released := []string{"verify", "before-probe", fault.ProbeAnswered, "probe", "before-record"}
	for range rounds(t, "SPAWNWARD_SOAK_STEPS", 1) {
		for _, step := range slices.Concat(held, released, []string{"record"}) {
			s.next()
			s.killed(step, s.args("good")...)
			if slices.Contains(held, step) {
				s.neverRan(step)
			}
			want := spawner.Launched
			if step == "record" {
				want = spawner.Reused
			}
			require.Equal(t, want, s.heals(step), step)
		}
	}
}

// TestKilledWhileItWaitsForANotice leaves no readiness socket behind.
func TestKilledWhileItWaitsForANotice(t *testing.T) {
	s := newSweep(t)
	for _, step := range []string{"intend", "spawn", "before-probe", fault.ProbeAnswered, "before-record"} {
		s.next()
		s.killed(step, append([]string{"launch", "--probe", "notify"}, s.args("notify")[1:]...)...)
		s.heals("notify: " + step)
	}
}

// TestKilledWhileItCleansUp kills a launcher that undoes a failure, and a stop.
func TestKilledWhileItCleansUp(t *testing.T) {
	s := newSweep(t)
	for range rounds(t, "SPAWNWARD_SOAK_STEPS", 1) {
		for _, step := range []string{fault.UndoBegun, fault.UndoEnded, fault.TracesSocket, fault.TracesRun} {
			s.next()
			s.killed(step, s.args("wrong-nonce")...)
			s.heals("undo: " + step)
			s.next()
			s.killed(step, s.args("wrong-nonce")...)
			s.ok("stop", "app")
			s.nothing("undo, then stop: " + step)
		}
		for _, step := range []string{fault.EndedProcess, fault.TracesSocket, fault.TracesRun} {
			s.next()
			s.ok(s.args("good")...)
			s.killed(step, "stop", "app")
			s.heals("stop: " + step)
		}
	}
}

// TestKilledAtRandom kills the launcher at random instants of a launch.
// SPAWNWARD_SOAK_KILLS says how often.
func TestKilledAtRandom(t *testing.T) {
	s := newSweep(t)
	begin := time.Now()
	s.ok(s.args("good")...)
	whole := time.Since(begin)
	s.ok("stop", "app")
	var died, lived int
	for range rounds(t, "SPAWNWARD_SOAK_KILLS", 12) {
		s.next()
		after := time.Duration(rand.Int64N(int64(whole)))
		c := s.cmd(s.args("good")...)
		require.NoError(t, c.Start())
		done := make(chan struct{})
		timer := time.AfterFunc(after, func() { defer close(done); _ = c.Process.Kill() })
		err := c.Wait()
		if timer.Stop() {
			close(done)
		}
		<-done
		var exit *exec.ExitError
		if err == nil {
			lived++
		} else {
			require.ErrorAs(t, err, &exit)
			require.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal(), "killed after %v", after)
			died++
		}
		s.heals("killed after " + after.String())
	}
	t.Logf("%d launchers were killed within %v, %d were faster", died, whole, lived)
}
