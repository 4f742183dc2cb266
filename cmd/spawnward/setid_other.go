//go:build !linux

package main

import (
	"errors"
	"os"

	"github.com/spawnward/spawnward/spawner/code"
)

// refuseSetID ends a command that was given privileges at its start.
func refuseSetID() error {
	if os.Getuid() != os.Geteuid() || os.Getgid() != os.Getegid() {
		return code.New("start", code.SetIDRefused, errors.New("the command runs set-user-id or set-group-id"))
	}
	return nil
}
