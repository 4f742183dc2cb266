//go:build faults && linux

package fault

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Enabled tells whether this is a build with faults.
const Enabled = true

// At does what the environment asks for at this step.
func At(step string) {
	plan := os.Getenv(EnvStep)
	if plan == "" {
		return
	}
	if err := take(step, plan, os.Getenv(EnvDir)); err != nil {
		panic(fmt.Sprintf("%s=%s at step %s: %v", EnvStep, plan, step, err))
	}
}

// Mutant reports whether the environment names this mutant, alone or in a list
// with commas. Where it does, the
// code breaks one promise on purpose.
func Mutant(name string) bool { return slices.Contains(strings.Split(os.Getenv(EnvMutant), ","), name) }

func take(step, plan, dir string) error {
	if !slices.Contains(Steps(), step) {
		return errors.New("this step is not in the list of all steps")
	}
	for part := range strings.SplitSeq(plan, ",") {
		at, action, _ := strings.Cut(part, ":")
		if !slices.Contains(Steps(), at) {
			return fmt.Errorf("%q is no step", at)
		}
		if action != Kill && action != Pause {
			return fmt.Errorf("%q is no action", action)
		}
		if at != step {
			continue
		}
		if action == Kill {
			kill()
		}
		if err := pause(step, dir); err != nil {
			return err
		}
	}
	return nil
}

// kill does not return: the signal may come a moment later.
func kill() {
	_ = unix.Kill(os.Getpid(), unix.SIGKILL)
	select {}
}

func pause(step, dir string) error {
	if !filepath.IsAbs(dir) {
		return fmt.Errorf("%s=%q is not an absolute directory", EnvDir, dir)
	}
	// By plain system calls: a step may lie in a thread that has a descriptor table
	// of its own, of which the runtime's poller knows nothing.
	at, err := open(filepath.Join(dir, "at"), unix.O_WRONLY)
	if err != nil {
		return err
	}
	_, err = unix.Write(at, []byte(step+"\n"))
	if err := errors.Join(err, unix.Close(at)); err != nil {
		return err
	}
	gate, err := open(filepath.Join(dir, "go"), unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer unix.Close(gate)
	for {
		n, err := unix.Read(gate, make([]byte, 1))
		if !errors.Is(err, unix.EINTR) && (err != nil || n == 0) {
			return err
		}
	}
}

// open waits for the FIFO's other end.
func open(path string, mode int) (int, error) {
	for {
		fd, err := unix.Open(path, mode|unix.O_CLOEXEC, 0)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}
