package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/spawnward/spawnward/policy"
	"github.com/spawnward/spawnward/spawner"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/nearest"
	"github.com/spawnward/spawnward/wasm"
)

// pinnedConfig is the file in which root pins what callers may not choose.
const pinnedConfig = "/etc/spawnward/config.yaml"

// app is one run of the command.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) (string, bool)
	pinnedConfig   string
	trustedUID     int // beside root, the owner that may pin; 0 is root itself
	worker         wasm.Worker

	engine  *policy.Engine // of the launch or check that was prepared
	flags   common
	printed bool // a JSON document has been printed
	cancel  context.CancelCauseFunc
	caught  <-chan struct{} // closed when signals cancel the command
}

func newApp(stdin io.Reader, stdout, stderr io.Writer) *app {
	caught := make(chan struct{})
	close(caught) // nobody waits for what is not to be
	return &app{stdin: stdin, stdout: stdout, stderr: stderr, getenv: os.LookupEnv, pinnedConfig: pinnedConfig, caught: caught}
}

// command is one word of the command line with what belongs to it. Groups have
// subcommands and no run.
type command struct {
	name    string
	args    string // after the name, as shown by --help
	short   string
	example string
	hidden  bool
	names   bool // --output name is there too, for scripts
	text    bool // the result is text and nothing else
	// raw commands get their arguments unparsed.
	raw     bool
	flags   func(*pflag.FlagSet)
	run     func(ctx context.Context, args []string) error
	signals signals
	subs    []*command
}

// signals says from when on the usual signals cancel a command, instead of ending
// the process.
type signals int

const (
	fromTheStart signals = iota
	// fromTheDecision: nothing is done before that would have to be undone.
	fromTheDecision
	// never: there is nothing to undo.
	never
)

// memoryLimit lets a short run finish without ever collecting garbage and still
// bounds a long one.
const memoryLimit = 24 << 20

func (a *app) run(args []string) int {
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(memoryLimit)
	if err := refuseSetID(); err != nil {
		return a.fail(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	a.cancel = cancel
	err := a.dispatch(ctx, "spawnward", &command{subs: a.commands(), short: "Start backends that policy has admitted, and nothing else."}, args)
	if err != nil {
		return a.fail(err)
	}
	return code.ExitOK
}

// jsonError is what a failed command prints that has no document of its own.
type jsonError struct {
	Error spawner.ReportError `json:"error"`
}

// catch lets the first of the usual signals cancel ctx, from when a.caught is
// closed to the end of the process. Catching them also resets them in children,
// even where a parent had them ignored. A reader that goes away is an error of the
// write, so that it is cleaned up after.
//
// It takes a goroutine of its own, because each signal costs two switches of
// threads.
func (a *app) catch(ctx context.Context) {
	caught := make(chan struct{})
	a.caught = caught
	go func() {
		ignored := signal.Ignored(syscall.SIGHUP)
		ended, _ := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
		hup := make(chan os.Signal, 1)
		signal.Notify(hup, syscall.SIGHUP)
		signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
		close(caught)
		for {
			select {
			case <-hup:
				if !ignored {
					a.cancel(context.Canceled)
				}
			case <-ended.Done():
				a.cancel(context.Cause(ended))
				return
			}
		}
	}()
}

// untilCaught lets a launch go on after its decision when signals cancel it.
type untilCaught <-chan struct{}

// Observe makes it a [spawner.Observer].
func (c untilCaught) Observe(_ context.Context, e spawner.Event) {
	if e.Step == spawner.Decide {
		<-c
	}
}

func (a *app) dispatch(ctx context.Context, path string, c *command, args []string) error {
	if len(c.subs) > 0 {
		return a.choose(ctx, path, c, args)
	}
	if c.signals != never {
		a.catch(ctx)
	}
	if c.signals == fromTheStart {
		<-a.caught
	}
	if c.raw {
		return c.run(ctx, args)
	}
	a.flags = common{}
	fs := a.flagSet(path, c)
	if err := fs.Parse(args); err != nil {
		a.flags.output = wantedOutput(args)
		return usage(path, "%s", a.flagHelp(fs, err))
	}
	if a.flags.help {
		return a.printf("%s", helpText(path, c, fs))
	}
	if !slices.Contains(c.outputs(), a.flags.output) {
		return usage(path, "--output %q is not one of %s%s", a.flags.output, strings.Join(c.outputs(), ", "), nearest.Hint(a.flags.output, c.outputs()))
	}
	rest := fs.Args()
	if at := fs.ArgsLenAtDash(); at >= 0 {
		a.flags.afterDash, rest = rest[at:], rest[:at]
		a.flags.dashed = true
	}
	if err := refuseEmpty(path, fs, rest); err != nil {
		return err
	}
	return c.run(ctx, rest)
}

// outputs are the forms in which a command prints its result.
func (c *command) outputs() []string {
	switch {
	case c.text:
		return []string{"text"}
	case c.names:
		return []string{"text", "json", "name"}
	}
	return []string{"text", "json"}
}

// flagSet is the flags of a command, bound to a.flags.
func (a *app) flagSet(path string, c *command) *pflag.FlagSet {
	fs := pflag.NewFlagSet(path, pflag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.SortFlags = false
	if c.flags != nil {
		c.flags(fs)
	}
	fs.StringVarP(&a.flags.output, "output", "o", "text", "how to print the result: "+strings.Join(c.outputs(), ", "))
	fs.BoolVarP(&a.flags.help, "help", "h", false, "show this help")
	return fs
}

func (a *app) choose(ctx context.Context, path string, c *command, args []string) error {
	if len(args) > 1 && args[0] == "help" {
		args = append(args[1:], "--help")
	}
	if len(args) > 0 && args[0] == "--version" {
		args = append([]string{"version"}, args[1:]...)
	}
	if len(args) == 0 || args[0] == "--help" || args[0] == "-h" || args[0] == "help" {
		if err := a.printf("%s", groupHelp(path, c)); err != nil || len(args) > 0 {
			return err
		}
		return usage(path, "a command is missing")
	}
	var names []string
	for _, sub := range c.subs {
		if sub.name == args[0] {
			return a.dispatch(ctx, path+" "+sub.name, sub, args[1:])
		}
		if !sub.hidden {
			names = append(names, sub.name)
		}
	}
	return usage(path, "%q is not a command%s", args[0], nearest.Hint(args[0], names))
}

// flagHelp adds the nearest flag to pflag's word on an unknown one.
func (a *app) flagHelp(fs *pflag.FlagSet, err error) string {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return err.Error()
	}
	var names []string
	fs.VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
	name := unknown.GetSpecifiedName()
	if len(name) > 1 {
		name = "--" + name
	}
	return err.Error() + nearest.Hint(name, names)
}

func usage(path, format string, args ...any) error {
	return code.New(strings.TrimPrefix(strings.TrimPrefix(path, "spawnward"), " "), code.Usage, fmt.Errorf(format, args...))
}

func (a *app) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(a.stdout, format, args...)
	return err
}
