// Package gate is the driving side of a pause in a build with faults: it waits
// until a process has come to a named step, lets the test do what it wants there,
// and lets the process go on. It never sleeps and misses nothing. Linux only.
package gate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/fault"
)

// Gate holds the two FIFOs of one process's pauses. One process passes a gate
// at a time.
type Gate struct {
	dir string
	at  *os.File
}

// New makes the FIFOs in dir, an absolute directory that the process can reach.
func New(dir string) (*Gate, error) {
	for _, name := range []string{"at", "go"} {
		if err := unix.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
			return nil, fmt.Errorf("make a gate in %s: %w", dir, err)
		}
	}
	// For both directions: this end never meets the end of the file when a writer
	// closes, and opening does not wait.
	at, err := os.OpenFile(filepath.Join(dir, "at"), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return &Gate{dir: dir, at: at}, nil
}

// Env is what the process needs in its environment to pause at the steps.
func (g *Gate) Env(steps ...string) []string {
	plan := make([]string, len(steps))
	for i, s := range steps {
		plan[i] = s + ":" + fault.Pause
	}
	return []string{fault.EnvStep + "=" + strings.Join(plan, ","), fault.EnvDir + "=" + g.dir}
}

// Wait waits until the process has come to a step and returns its name. It
// ends with ctx: cancel that when the process ends, which may come to no step.
func (g *Gate) Wait(ctx context.Context) (string, error) {
	stop := context.AfterFunc(ctx, func() { g.at.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var step []byte
	for {
		one := make([]byte, 1)
		_, err := g.at.Read(one)
		switch {
		case err != nil && ctx.Err() != nil:
			return "", ctx.Err()
		case err != nil:
			return "", err
		case one[0] == '\n':
			return string(step), nil
		}
		step = append(step, one[0])
	}
}

// Open lets the process that waits at the gate go on.
func (g *Gate) Open() error {
	f, err := os.OpenFile(filepath.Join(g.dir, "go"), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// Close releases the gate. A process that is held there stays so until it is
// ended.
func (g *Gate) Close() error {
	return errors.Join(g.at.Close(), os.Remove(filepath.Join(g.dir, "at")), os.Remove(filepath.Join(g.dir, "go")))
}
