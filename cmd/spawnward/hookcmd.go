package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/spawnward/spawnward/wasm"
)

func (a *app) hookCommands() []*command {
	var engine, lang string
	var deadline time.Duration
	return []*command{
		{
			name: "check", args: "FILE", short: "check a module against the limits of hooks and print its digest",
			example: "spawnward hook check hooks/region.wasm", run: a.hookCheck,
		},
		{
			name: "run", args: "FILE", short: "run a module as a launch would, on the input from standard input, and print its reply",
			example: "spawnward hook run hooks/region.wasm < input.json",
			flags: func(fs *pflag.FlagSet) {
				fs.StringVar(&engine, "engine", string(wasm.Interpreter), "interpreter or compiler")
				fs.DurationVar(&deadline, "deadline", wasm.DefaultDeadline, "how long the hook may take, at most 1m")
			},
			run: func(ctx context.Context, args []string) error { return a.hookRun(ctx, args, engine, deadline) },
		},
		{
			name: "init", args: "DIR", short: "write a commented example of a hook into a new directory",
			example: "spawnward hook init --lang go region",
			flags:   func(fs *pflag.FlagSet) { fs.StringVar(&lang, "lang", "go", "the language: go, rust, c or as") },
			run:     func(_ context.Context, args []string) error { return a.hookInit(args, lang) },
		},
	}
}

// hookReport is what hook check says of a module.
type hookReport struct {
	File        string   `json:"file"`
	Valid       bool     `json:"valid"`
	Problem     string   `json:"problem"`
	SHA256      string   `json:"sha256"`
	Size        int      `json:"size"`         // bytes
	Functions   int      `json:"functions"`    // defined ones
	MemoryPages uint32   `json:"memory_pages"` // of 64 KiB, at the start
	Imports     []string `json:"imports"`
}

func (a *app) hookCheck(_ context.Context, args []string) error {
	file, err := oneArg("hook check", args, "FILE")
	if err != nil {
		return err
	}
	m, err := wasm.Read(os.Geteuid(), file)
	if m == nil || err != nil && a.flags.output != "json" {
		return err
	}
	if a.flags.output == "json" {
		r := hookReport{file, err == nil, "", m.SHA256, m.Size, m.Functions, m.MemoryPages, append([]string{}, m.Imports...)}
		if err == nil {
			return a.printJSON(r)
		}
		r.Problem = err.Error()
		return errors.Join(a.printJSON(r), silent{err})
	}
	return a.table([][2]string{
		{"within the limits", file},
		{"  sha256", m.SHA256},
		{"  size", strconv.Itoa(m.Size)},
		{"  functions", strconv.Itoa(m.Functions)},
		{"  memory", fmt.Sprintf("%d KiB", m.MemoryPages*64)},
		{"  imports", strings.Join(m.Imports, " ")},
	})
}

func (a *app) hookRun(ctx context.Context, args []string, engine string, deadline time.Duration) error {
	file, err := oneArg("hook run", args, "FILE")
	if err != nil {
		return err
	}
	if e := wasm.Engine(engine); e != wasm.Interpreter && e != wasm.Compiler {
		return usage("hook run", "--engine %q is not one of %s, %s", engine, wasm.Interpreter, wasm.Compiler)
	}
	if deadline <= 0 || deadline > wasm.MaxDeadline {
		return usage("hook run", "--deadline %s is not above 0 and at most %s", deadline, wasm.MaxDeadline)
	}
	m, err := wasm.Read(os.Geteuid(), file)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(a.stdin, wasm.MaxInput+1))
	if err != nil {
		return fmt.Errorf("read the hook's input from standard input: %w", err)
	}
	if len(text) > wasm.MaxInput {
		return usage("hook run", "the input is longer than %d bytes", wasm.MaxInput)
	}
	in, err := wasm.ParseInput(text)
	if err != nil {
		return usage("hook run", "%w; give one object as 'hook init' writes it", err)
	}
	name := strings.TrimSuffix(filepath.Base(file), ".wasm")
	result, err := wasm.Run(ctx, wasm.Hook{Name: name, Module: m}, in,
		wasm.Options{Worker: a.worker, Engine: wasm.Engine(engine), Deadline: deadline, Cache: a.hookCache()})
	var failed *wasm.Error
	if errors.As(err, &failed) {
		return errors.Join(a.guestStderr(failed.Stderr), err)
	}
	if err != nil {
		return err
	}
	if err := a.guestStderr(result.Stderr); err != nil {
		return err
	}
	return a.printJSON(result.Reply)
}

// guestStderr shows what a guest wrote, line by line and quoted.
func (a *app) guestStderr(text []byte) error {
	for line := range bytes.Lines(text) {
		_, err := fmt.Fprintf(a.stderr, "hook: %+q\n", bytes.TrimSuffix(line, []byte("\n")))
		if err != nil {
			return err
		}
	}
	return nil
}
