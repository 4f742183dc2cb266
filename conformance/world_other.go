//go:build !linux

package conformance

import (
	"errors"
	"os/exec"
)

// WorldCommand is the hidden sub-command of the program that runs [World].
const WorldCommand = "conformance-world"

func inWorld(_ *exec.Cmd, t *tree) error {
	if len(t.c.Setup.Mounts) == 0 {
		return nil
	}
	return errors.ErrUnsupported
}

// World is there on Linux only.
func World([]string) error { return errors.ErrUnsupported }
