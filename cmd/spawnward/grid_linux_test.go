package main

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestPsOnATerminal reads ps as a person does, and as a script does.
func TestPsOnATerminal(t *testing.T) {
	b := newBench(t)
	binary, root := b.backend()
	b.ok("launch", "--binary", binary, "--root", root, "app@1.0.0", "--", "scripted-backend", "good")
	control, terminal := pseudoTerminal(t)
	defer control.Close()
	defer terminal.Close()
	require.NoError(t, unix.IoctlSetWinsize(int(control.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 70}))
	show := func(env string, args ...string) (*exec.Cmd, func(until string) string) {
		c := b.cmd(args...)
		c.Env = append(c.Env, env)
		c.Stdin, c.Stdout, c.Stderr = terminal, terminal, terminal
		require.NoError(t, c.Start())
		return c, func(until string) string {
			var seen strings.Builder
			buf := make([]byte, 4096)
			for !strings.Contains(seen.String(), until) {
				n, err := control.Read(buf)
				require.NoError(t, err)
				seen.Write(buf[:n])
			}
			return seen.String()
		}
	}

	c, read := show("TERM=xterm", "ps")
	text := read("…")
	require.NoError(t, c.Wait())
	require.Contains(t, text, "\x1b[32mlive\x1b[0m")
	plain := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(text, "")
	for _, line := range strings.Split(plain, "\r\n") {
		require.LessOrEqual(t, utf8.RuneCountInString(line), 70)
	}

	c, read = show("NO_COLOR=1", "ps")
	text = read("…")
	require.NoError(t, c.Wait())
	require.NotContains(t, text, "\x1b")

	c, read = show("TERM=xterm", "ps", "--watch=1ms")
	for range 3 {
		read("\x1b[H\x1b[2J")
		read("live")
	}
	require.NoError(t, c.Process.Signal(os.Interrupt))
	require.NoError(t, c.Wait())

	require.Equal(t, "app@1.0.0\n", string(b.ok("ps", "--output", "name")))
	b.ok("stop", "app")
	require.Empty(t, string(b.ok("ps", "-o", "name")))
	var exit *exec.ExitError
	require.ErrorAs(t, b.cmd("ps", "--watch", "-o", "json").Run(), &exit)
	require.Equal(t, 2, exit.Sys().(syscall.WaitStatus).ExitStatus())
	b.empty()
}
