package main

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/fault"
)

// atSecure is the auxiliary vector's entry for a privileged start (getauxval(3)).
const atSecure = 23

// refuseSetID ends a command that was given privileges at its start: whoever
// chose its flags and environment does not have them.
func refuseSetID() error {
	secure := os.Getuid() != os.Geteuid() || os.Getgid() != os.Getegid()
	aux, err := unix.Auxv()
	if err != nil {
		return code.New("start", code.SetIDRefused, err)
	}
	for _, kv := range aux {
		secure = secure || kv[0] == atSecure && kv[1] != 0
	}
	if secure && !fault.Mutant("run-set-id") {
		return code.New("start", code.SetIDRefused, errors.New("the command runs set-user-id, set-group-id or with file capabilities"))
	}
	return nil
}
