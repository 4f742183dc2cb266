package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spawnward/spawnward/rego"
)

// jsonInit is what policy init says.
type jsonInit struct {
	Path  string   `json:"path"`
	Files []string `json:"files"`
}

func (a *app) policyInit(_ context.Context, args []string) error {
	dir, err := oneArg("policy init", args, "DIR")
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("policy init: %w; name a directory that does not exist yet", err)
	}
	out := jsonInit{Path: dir, Files: []string{}}
	err = fs.WalkDir(rego.Example, "example", func(name string, d fs.DirEntry, err error) error {
		below := strings.TrimPrefix(strings.TrimPrefix(name, "example"), "/")
		if err != nil || below == "" {
			return err
		}
		to := filepath.Join(dir, filepath.FromSlash(below))
		if d.IsDir() {
			return os.Mkdir(to, 0o755)
		}
		text, err := rego.Example.ReadFile(name)
		if err != nil {
			return err
		}
		out.Files = append(out.Files, below)
		return os.WriteFile(to, text, 0o644)
	})
	if err != nil {
		return fmt.Errorf("policy init: %w", err)
	}
	if a.flags.output == "json" {
		return a.printJSON(out)
	}
	shown := safe(dir, false)
	return a.printf("wrote %[1]s; read its comments, then:\n\n"+
		"  spawnward policy check %[1]s\n"+
		"  spawnward policy test %[1]s --coverage\n"+
		"  spawnward check --policy %[1]s SERVICE\n", shown)
}
