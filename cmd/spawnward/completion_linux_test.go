package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestCompletionInTheShells types half words and tabs into real shells on a
// terminal, and looks at what the completed commands print.
func TestCompletionInTheShells(t *testing.T) {
	for shell, start := range map[string][]string{
		"bash": {"bash", "--norc", "--noprofile", "-i"},
		"zsh":  {"zsh", "-f", "-i"},
		"fish": {"fish", "--no-config", "-i"},
	} {
		t.Run(shell, func(t *testing.T) {
			if _, err := exec.LookPath(shell); err != nil {
				t.Skipf("%s is not installed; CI installs it", shell)
			}
			b := newBench(t)
			require.NoError(t, os.WriteFile(filepath.Join(b.services, "redis.yaml"), []byte("service_name: redis\nbinary_path: /usr/bin/redis-server\nper_version_binary_dir: /usr/bin\nisolation: PRIVATE_BROKER\nversion_allow_list: [7.0.15]\n"), 0o600))
			bin := t.TempDir()
			require.NoError(t, copySelf(filepath.Join(bin, "spawnward"), ""))

			term := b.onTerminal(bin, start)
			switch shell {
			case "bash":
				term.say("source <(spawnward completion bash)\n")
			case "zsh":
				term.say("autoload -Uz compinit && compinit -u -D && source <(spawnward completion zsh)\n")
			case "fish":
				term.say("spawnward completion fish | source\n")
			}
			term.say("echo loa''ded\n")
			term.await("loaded")
			term.say("spawnward comp\tba\t | head -n 1\n")
			term.await("# Completion of spawnward for bash.")
			term.say("spawnward service sho\tre\t--out\tjs\t\n")
			term.await(`"service_name": "redis"`)
			term.say("spawnward log show --code binary_hard\t\n")
			term.await("nothing of that kind is logged")
			term.say("spawnward service validate " + b.services + "/red\t\n")
			term.await("redis.yaml: valid definition of redis")
			term.say("spawnward check redis@7\t--show-v\t\n")
			term.await("redis@7.0.15 (private:redis)")
		})
	}
}

// terminalSession is a shell that runs on a terminal of its own.
type terminalSession struct {
	t       *testing.T
	control *os.File
	seen    chan []byte
	all     bytes.Buffer
}

func (b *bench) onTerminal(bin string, command []string) *terminalSession {
	t := b.t
	control, terminal := pseudoTerminal(t)
	c := exec.Command(command[0], command[1:]...)
	c.Env = append(b.cmd().Env, "PATH="+bin+":"+os.Getenv("PATH"), "TERM=dumb", "PS1=> ", "COLUMNS=400")
	c.Dir = t.TempDir()
	c.Stdin, c.Stdout, c.Stderr = terminal, terminal, terminal
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, c.Start())
	require.NoError(t, terminal.Close())
	s := &terminalSession{t: t, control: control, seen: make(chan []byte)}
	done := make(chan struct{})
	go func() {
		defer close(s.seen)
		for {
			buf := make([]byte, 4096)
			n, err := control.Read(buf)
			if err != nil {
				return
			}
			select {
			case s.seen <- buf[:n]:
			case <-done:
				return
			}
		}
	}()
	t.Cleanup(func() {
		close(done)
		_ = c.Process.Kill()
		_ = c.Wait()
		_ = control.Close()
	})
	return s
}

func (s *terminalSession) say(text string) {
	s.t.Helper()
	_, err := s.control.WriteString(text)
	require.NoError(s.t, err)
}

// await reads until the terminal has shown the text since the last await.
func (s *terminalSession) await(text string) {
	s.t.Helper()
	deadline := time.After(20 * time.Second)
	for !bytes.Contains(s.all.Bytes(), []byte(text)) {
		select {
		case data, ok := <-s.seen:
			require.True(s.t, ok, "the shell ended; it showed:\n%s", s.all.String())
			s.all.Write(data)
		case <-deadline:
			require.Fail(s.t, "the shell never showed "+text, "it showed:\n%q", s.all.String())
		}
	}
	s.all.Reset()
}
