package process_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/process"
)

// unharmed is what a failed Become must leave as it was.
type unharmed struct {
	Dir    string
	Umask  int
	Limit  unix.Rlimit
	Mask   unix.Sigset_t
	Closes []int
}

func (u *unharmed) take(kept *os.File) {
	u.Dir, _ = os.Getwd()
	u.Umask = unix.Umask(0)
	unix.Umask(u.Umask)
	_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &u.Limit)
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, nil, &u.Mask)
	flags, _ := unix.FcntlInt(kept.Fd(), unix.F_GETFD, 0)
	names, _ := os.ReadDir("/proc/self/fd")
	u.Closes = []int{flags, len(names)}
}

// become turns into the reporting part of this program, after attempts that
// must fail and change nothing.
func become(to string) {
	fail := func(format string, args ...any) {
		_ = os.WriteFile(to, fmt.Appendf(nil, format, args...), 0o600)
		os.Exit(1)
	}
	self, _ := os.Open("/proc/self/exe")
	kept, _ := os.Open("/dev/zero")
	_, _ = unix.FcntlInt(kept.Fd(), unix.F_DUPFD, 200) // inherited by nobody
	text := filepath.Join(filepath.Dir(to), "text")
	_ = os.WriteFile(text, []byte("no program"), 0o700)
	broken, _ := os.Open(text)
	_ = os.WriteFile(text+".sh", []byte("#!/bin/sh\n"), 0o700)
	script, _ := os.Open(text + ".sh")

	spec := process.Spec{
		File: self, Argv: []string{"/srv/x", "one"}, Dir: "/", Keep: []*os.File{kept},
		Env: []string{"PROCESS_TEST=report", "REPORT=" + to},
	}
	for _, c := range []struct {
		change func(*process.Spec)
		want   error
	}{
		{func(s *process.Spec) { s.Dir = "/nonexistent" }, unix.ENOENT},
		{func(s *process.Spec) { s.File = broken }, unix.ENOEXEC},
		{func(s *process.Spec) { s.File = script }, unix.ENOENT},
		{func(s *process.Spec) { s.Argv = []string{"a\x00"} }, unix.EINVAL},
		{func(s *process.Spec) { s.Env = []string{"a\x00"} }, unix.EINVAL},
	} {
		var before, after unharmed
		before.take(kept)
		before.Closes[0] = unix.FD_CLOEXEC
		wrong := spec
		c.change(&wrong)
		err := process.Become(wrong)
		after.take(kept)
		if !errors.Is(err, c.want) || fmt.Sprint(before) != fmt.Sprint(after) {
			fail("%v instead of %v: %v became %v", err, c.want, before, after)
		}
	}
	fail("%v", process.Become(spec))
}

func TestBecome(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	to := filepath.Join(t.TempDir(), "report")
	cmd := exec.Command(self)
	cmd.Env = []string{"PROCESS_TEST=become", "REPORT=" + to}
	require.NoError(t, cmd.Start())
	werr := cmd.Wait()
	data, err := os.ReadFile(to)
	require.NoError(t, err)
	require.NoError(t, werr, "%s", data)
	var c child
	require.NoError(t, json.Unmarshal(data, &c), "%s", data)
	require.Equal(t, cmd.Process.Pid, c.PID, "the same process")
	require.Equal(t, []string{"/srv/x", "one"}, c.Argv)
	require.Equal(t, []string{"PROCESS_TEST=report", "REPORT=" + to}, c.Env)
	require.Equal(t, "/", c.Dir)
	require.Equal(t, 0o022, c.Umask)
	require.Len(t, c.FDs, 4)
	var kept []string
	for _, name := range c.FDs {
		kept = append(kept, name)
	}
	require.Contains(t, kept, "/dev/zero")
	require.NotContains(t, c.FDs, "200")
}

// becomeCat shows what a program without a runtime of its own gets.
func becomeCat() {
	cat, err := os.Open("/bin/cat")
	if err == nil {
		err = process.Become(process.Spec{File: cat, Argv: []string{"cat", "/proc/self/status", "/proc/self/limits"}, Dir: "/"})
	}
	fmt.Println(err)
}

func TestBecomePutsBackTheLimitAndTheMask(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command("/bin/sh", "-c", `ulimit -Sn 123; exec "$0"`, self)
	cmd.Env = []string{"PROCESS_TEST=become-cat"}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Regexp(t, `Max open files +123 `, string(out))
	require.Regexp(t, `SigBlk:\s+0000000000000000\n`, string(out))
	require.Regexp(t, `SigCgt:\s+0000000000000000\n`, string(out))
}
