package main

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spawnward/spawnward/spawner/code"
)

// examples has one directory a language. A name that ends in .txt loses that:
// the Go tool would take the file for a part of this program.
//
//go:embed example
var examples embed.FS

func (a *app) hookInit(args []string, lang string) error {
	dir, err := oneArg("hook init", args, "DIR")
	if err != nil {
		return err
	}
	switch lang {
	case "go":
	case "rust", "c", "as":
		return code.New("hook init", code.Unsupported, fmt.Errorf("an example in %s: %w in this release; use --lang go", lang, errors.ErrUnsupported))
	default:
		return usage("hook init", "--lang %q is not one of go, rust, c, as", lang)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("hook init: %w; name a directory that does not exist yet", err)
	}
	from := "example/" + lang
	files, err := fs.ReadDir(examples, from)
	if err != nil {
		return err
	}
	for _, f := range files {
		text, err := examples.ReadFile(from + "/" + f.Name())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, strings.TrimSuffix(f.Name(), ".txt")), text, 0o644); err != nil {
			return fmt.Errorf("hook init: %w", err)
		}
	}
	return a.printf("wrote %s; build, check and run it:\n\n"+
		"  cd %s\n"+
		"  GOOS=wasip1 GOARCH=wasm go build -trimpath -ldflags='-s -w' -o hook.wasm .\n"+
		"  spawnward hook check hook.wasm\n"+
		"  spawnward hook run hook.wasm < input.json\n", safe(dir, false), safe(dir, false))
}
