package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spawnward/spawnward/spawner/nearest"
	"github.com/spawnward/spawnward/wasm/examples"
)

func (a *app) hookInit(args []string, lang string) error {
	dir, err := oneArg("hook init", args, "DIR")
	if err != nil {
		return err
	}
	languages := examples.Languages()
	at := slices.IndexFunc(languages, func(l examples.Language) bool { return l.Name == lang })
	if at < 0 {
		return usage("hook init", "--lang %q is not one of go, rust, c, as%s", lang, nearest.Hint(lang, []string{"go", "rust", "c", "as"}))
	}
	files, err := examples.Start(lang)
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("hook init: %w; name a directory that does not exist yet", err)
	}
	for _, name := range sorted(files) {
		if err := os.WriteFile(filepath.Join(dir, name), files[name], 0o644); err != nil {
			return fmt.Errorf("hook init: %w", err)
		}
	}
	steps := append(slices.Concat(languages[at].Install, languages[at].Build), "spawnward hook check hook.wasm", "spawnward hook run hook.wasm < input.json")
	if a.flags.output == "json" {
		return a.printJSON(struct {
			Directory string   `json:"directory"`
			Files     []string `json:"files"`
			Steps     []string `json:"steps"` // what to type next, in the directory
		}{dir, sorted(files), steps})
	}
	return a.printf("wrote %[1]s; build, check and run it:\n\n"+
		"  cd %[1]s\n"+
		"  %[2]s\n", safe(dir, false), strings.Join(steps, "\n  "))
}
