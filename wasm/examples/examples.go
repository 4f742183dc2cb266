// Package examples holds hooks to begin with: under start one working program a
// language, each with an input to try it on, which hook init writes; and beside
// it three small hooks in C, as source and as the module that it makes. They do
// the same on every operating system.
package examples

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Those files of Go programs lose the end .txt, without which the Go tool would
// take them for a part of this package.
//
//go:embed start
var start embed.FS

// Language is one in which there is a hook to begin with.
type Language struct {
	// Name is what hook init --lang takes.
	Name string
	// Install gets what Build needs, Build makes hook.wasm of the files in the
	// working directory; each a command an element.
	Install, Build []string
}

// Languages lists them.
func Languages() []Language {
	return []Language{
		{"go", nil, []string{"GOOS=wasip1 GOARCH=wasm go build -trimpath -ldflags='-s -w' -o hook.wasm ."}},
		{"rust", []string{"rustup target add wasm32-wasip1"}, []string{"rustc --target wasm32-wasip1 --edition 2021 -O -C strip=symbols -C panic=abort -o hook.wasm main.rs"}},
		{"c", []string{"apt-get install clang lld wasi-libc libclang-rt-dev-wasm32"}, []string{"clang --target=wasm32-wasi -Os -s -Wall -o hook.wasm main.c"}},
		{"as", []string{"npm install --save-exact assemblyscript"}, []string{"npx asc hook.ts -o hook.wasm -O --runtime stub --exportStart _start --use abort=hook/abort"}},
	}
}

// Start gives the files of a language by name.
func Start(language string) (map[string][]byte, error) {
	if !slices.ContainsFunc(Languages(), func(l Language) bool { return l.Name == language }) {
		return nil, fmt.Errorf("there is no example in %q: %w", language, fs.ErrNotExist)
	}
	entries, err := start.ReadDir("start/" + language)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, e := range entries {
		text, err := start.ReadFile("start/" + language + "/" + e.Name())
		if err != nil {
			return nil, err
		}
		files[strings.TrimSuffix(e.Name(), ".txt")] = text
	}
	files["input.json"], err = start.ReadFile("start/input.json")
	return files, err
}
