package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/spawnward/spawnward/conformance"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/fault"
)

// conformanceFlags are those of the conformance command.
type conformanceFlags struct {
	launcher, only, junit string
	parallel              int
	all, list             bool
}

func (a *app) conformanceCommand() *command {
	var f conformanceFlags
	return &command{
		name: "conformance", short: "judge this launcher, an edited policy, or another launcher by the suite",
		example: "spawnward conformance --policy /etc/spawnward/site --junit report.xml\n  spawnward conformance --launcher './my-launcher --json' --only 'O-*'",
		flags: func(fs *pflag.FlagSet) {
			f = conformanceFlags{}
			fs.Var(&a.flags.policy, "policy", "judge this policy: the cases run with it in place")
			fs.StringVar(&f.launcher, "launcher", "", "judge this program, which speaks the suite's protocol (schema/request.json)")
			fs.StringVar(&f.only, "only", "", "only cases whose id or requirement matches, such as 'O-*'")
			fs.StringVar(&f.junit, "junit", "", "also write the report as JUnit XML to this file")
			fs.IntVar(&f.parallel, "parallel", 0, "cases at once (default: twice the processors)")
			fs.BoolVar(&f.all, "all", false, "also list the cases that held")
			fs.BoolVar(&f.list, "list", false, "list the cases and run none")
		},
		run: func(ctx context.Context, args []string) error { return a.conformance(ctx, args, f) },
	}
}

func (a *app) conformance(ctx context.Context, args []string, f conformanceFlags) error {
	if len(args) != 0 {
		return usage("conformance", "it takes no arguments; --only chooses cases")
	}
	cases, err := conformance.Load(f.only)
	if err != nil {
		return err
	}
	if len(cases) == 0 {
		return usage("conformance", "--only %q matches no case; --list shows them", f.only)
	}
	if f.list {
		return a.listCases(cases)
	}
	o := conformance.Options{Policy: a.flags.policy.text, Parallel: f.parallel, Progress: a.progress()}
	if fault.Enabled {
		o.Faults = conformance.Faults{Step: fault.EnvStep, Dir: fault.EnvDir, Mutant: fault.EnvMutant}
	}
	if o.Program, err = os.Executable(); err != nil {
		return err
	}
	if f.launcher != "" {
		if o.Launcher, err = conformance.Command(f.launcher); err != nil {
			return usage("conformance", "--launcher: %v", err)
		}
	}
	report, err := conformance.Run(ctx, cases, o)
	if report == nil {
		return err
	}
	return errors.Join(err, a.reportConformance(report, f))
}

func (a *app) reportConformance(r *conformance.Report, f conformanceFlags) error {
	var err error
	if a.flags.output == "json" {
		a.printed = true
		err = r.WriteJSON(a.stdout)
	} else {
		err = r.WriteText(a.stdout, f.all)
	}
	if f.junit != "" {
		err = errors.Join(err, writeJUnit(r, f.junit))
	}
	if err == nil && !r.OK {
		return statusError(code.ExitOther)
	}
	return err
}

func writeJUnit(r *conformance.Report, path string) error {
	out, err := os.Create(filepath.Clean(path))
	if err != nil {
		return err
	}
	return errors.Join(r.WriteJUnit(out), out.Close())
}

func (a *app) listCases(cases []*conformance.Case) error {
	if a.flags.output == "json" {
		type listed struct {
			ID       string   `json:"id"`
			Title    string   `json:"title"`
			Requires []string `json:"requires"`
			File     string   `json:"file"`
		}
		list := make([]listed, len(cases))
		for i, c := range cases {
			list[i] = listed{c.ID, c.Title, c.Requires, c.File}
		}
		return a.printJSON(list)
	}
	for _, c := range cases {
		if err := a.printf("%s: %s\n", c.ID, c.Title); err != nil {
			return err
		}
	}
	return nil
}

// isTerminal reports whether people may be watching. The null device counts, and
// does no harm.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

// progress counts the cases on standard error, where that is a terminal.
func (a *app) progress() func(int, int, *conformance.Result) {
	if !isTerminal(a.stderr) {
		return nil
	}
	return func(done, all int, _ *conformance.Result) {
		end := ""
		if done == all {
			end = "\r\033[K"
		}
		_, _ = fmt.Fprintf(a.stderr, "\r%d of %d cases%s", done, all, end)
	}
}

// conformanceWorld is how the suite gives a launcher file systems of its own.
func (a *app) conformanceWorld(_ context.Context, args []string) error {
	return conformance.World(args)
}
