package main

import (
	"context"
	_ "embed"
	"strings"

	"github.com/spawnward/spawnward/spawner/nearest"
)

// The scripts ask the hidden command "complete-words" what fits, so that they
// know services, versions, codes and flags without being written anew.
var (
	//go:embed completion/bash.sh
	bashCompletion string
	//go:embed completion/zsh.sh
	zshCompletion string
	//go:embed completion/fish.fish
	fishCompletion string
)

func shells() []string { return []string{"bash", "zsh", "fish"} }

func (a *app) completion(_ context.Context, args []string) error {
	shell, err := oneArg("completion", args, "shell")
	if err != nil {
		return err
	}
	script := ""
	switch shell {
	case "bash":
		script = bashCompletion
	case "zsh":
		script = zshCompletion
	case "fish":
		script = fishCompletion
	default:
		return usage("completion", "%q is not one of %s%s", shell, strings.Join(shells(), ", "), nearest.Hint(shell, shells()))
	}
	return a.printf("%s", script)
}
