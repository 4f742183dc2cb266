package main

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/pflag"

	"github.com/spawnward/spawnward/policy"
	"github.com/spawnward/spawnward/spawner/code"
)

func (a *app) policyTestCommand() *command {
	var o policy.TestOptions
	var verbose bool
	var threshold float64
	return &command{
		name: "test", args: "DIR", short: "run the Rego tests of a site beside the library",
		example: "spawnward policy test site-policy\n  spawnward policy test site-policy --run network -v\n  spawnward policy test site-policy --threshold 90",
		flags: func(fs *pflag.FlagSet) {
			fs.StringVar(&o.Run, "run", "", "run only the tests whose names match this regular expression")
			fs.BoolVar(&o.Coverage, "coverage", false, "say which lines of the rules no test reaches")
			fs.Float64Var(&threshold, "threshold", 0, "fail when less of the rules is reached, in percent (implies --coverage)")
			fs.BoolVarP(&verbose, "verbose", "v", false, "name every test")
		},
		run: func(ctx context.Context, args []string) error {
			dir, err := oneArg("policy test", args, "DIR")
			if err != nil {
				return err
			}
			if _, err := regexp.Compile(o.Run); err != nil {
				return usage("policy test", "--run: %w", err)
			}
			if threshold < 0 || threshold > 100 {
				return usage("policy test", "--threshold %g is not between 0 and 100", threshold)
			}
			o.Coverage = o.Coverage || threshold > 0
			return a.policyTest(ctx, dir, o, threshold, verbose)
		},
	}
}

func (a *app) policyTest(ctx context.Context, dir string, o policy.TestOptions, threshold float64, verbose bool) error {
	r, err := policy.Test(ctx, dir, o)
	if err != nil {
		return err
	}
	if err := a.printTests(r, verbose); err != nil {
		return err
	}
	switch {
	case r.Failed > 0:
		err = fmt.Errorf("%d of %d tests failed", r.Failed, r.Failed+r.Passed+r.Skipped)
	case r.Coverage != nil && r.Coverage.Percent < threshold:
		err = fmt.Errorf("the tests reach %.2f %% of the rules, less than %g %%", r.Coverage.Percent, threshold)
	default:
		return nil
	}
	err = code.New("policy test", code.PolicyTestFailed, err)
	if a.flags.output == "json" {
		return silent{err}
	}
	return err
}

func (a *app) printTests(r *policy.TestReport, verbose bool) error {
	if a.flags.output == "json" {
		return a.printJSON(r)
	}
	var b strings.Builder
	for _, t := range r.Results {
		if t.Outcome == "passed" && !verbose {
			continue
		}
		fmt.Fprintf(&b, "%-7s %s  %s\n", t.Outcome, t.Place, safe(t.Name, false))
		for _, more := range []string{t.Detail, t.Output} {
			if more != "" {
				fmt.Fprintf(&b, "    %s\n", strings.ReplaceAll(safe(more, true), "\n", "\n    "))
			}
		}
	}
	fmt.Fprintf(&b, "%d passed, %d failed, %d skipped\n", r.Passed, r.Failed, r.Skipped)
	if r.Coverage != nil {
		fmt.Fprintf(&b, "%.2f %% of the rules reached\n", r.Coverage.Percent)
		for _, place := range r.Coverage.Missing {
			fmt.Fprintf(&b, "  not reached: %s\n", safe(place, false))
		}
	}
	return a.printf("%s", b.String())
}
