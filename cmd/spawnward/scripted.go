package main

import (
	"context"
	"fmt"

	"github.com/spawnward/spawnward/conformance/scripted"
)

// statusError ends the command with a status of its own and no further words.
type statusError int

func (s statusError) Error() string { return fmt.Sprintf("status %d", int(s)) }

// scripted plays the backend of the conformance suite.
func (a *app) scripted(ctx context.Context, args []string) error {
	if status := scripted.Run(ctx, args, scripted.Stdio{Out: a.stdout, Err: a.stderr}); status != 0 {
		return statusError(status)
	}
	return nil
}
