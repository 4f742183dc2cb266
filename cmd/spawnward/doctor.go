package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/spawnward/spawnward/spawner/code"
)

// What a check of the machine can find.
const (
	doctorOK   = "ok"
	doctorWarn = "warn" // launches work, something is weaker or missing
	doctorFail = "fail" // some launch that should work will not
)

// diagnosis is one check of doctor; its JSON form is fixed by
// rego/schema/doctor.json.
type diagnosis struct {
	Check  string `json:"check"`
	Status string `json:"status"`
	Looked string `json:"looked"` // at what
	Means  string `json:"means"`
	Fix    string `json:"fix"` // "" when there is nothing to mend
}

func ok(check, looked, means string) diagnosis {
	return diagnosis{Check: check, Status: doctorOK, Looked: looked, Means: means}
}

// fails makes a failed check of an error, with the fix that its code has.
func fails(check, looked string, err error) diagnosis {
	d := diagnosis{Check: check, Status: doctorFail, Looked: looked, Means: err.Error()}
	if e, found := code.Lookup(codeOf(err)); found {
		d.Fix = e.Fix
	}
	return d
}

func (a *app) doctorFlags(fs *pflag.FlagSet) {
	a.servicesFlag(fs)
	a.policyFlags(fs)
	a.stateFlags(fs)
}

// doctor looks at everything that a launch needs, and starts nothing but the
// short-lived children by which it tries what the kernel allows.
func (a *app) doctor(ctx context.Context, args []string) error {
	if len(args) != 0 {
		return usage("doctor", "it takes no arguments")
	}
	var all []diagnosis
	for _, part := range []func(context.Context) []diagnosis{a.checkKernel, a.checkHost, a.checkPlaces, a.checkServices, a.checkPolicy} {
		all = append(all, part(ctx)...)
		if ctx.Err() != nil {
			return code.New("doctor", code.Canceled, context.Cause(ctx))
		}
	}
	failed := countStatus(all, doctorFail)
	var err error
	if a.flags.output == "json" {
		err = a.printJSON(all)
	} else {
		err = a.printf("%s", doctorText(all))
	}
	if err == nil && failed > 0 {
		return silent{code.New("doctor", code.Failed, fmt.Errorf("%d checks failed", failed))}
	}
	return err
}

func countStatus(all []diagnosis, status string) int {
	n := 0
	for _, d := range all {
		if d.Status == status {
			n++
		}
	}
	return n
}

func doctorText(all []diagnosis) string {
	width := 0
	for _, d := range all {
		width = max(width, len(d.Check))
	}
	var b strings.Builder
	for _, d := range all {
		fmt.Fprintf(&b, "%-4s  %-*s  %s\n", d.Status, width, d.Check, safe(d.Looked, false))
		indent := strings.Repeat(" ", width+8)
		fmt.Fprintf(&b, "%s%s\n", indent, strings.ReplaceAll(safe(d.Means, true), "\n", "\n"+indent))
		if d.Fix != "" {
			fmt.Fprintf(&b, "%sfix: %s\n", indent, strings.ReplaceAll(safe(d.Fix, true), "\n", "\n"+indent))
		}
	}
	failed, warned := countStatus(all, doctorFail), countStatus(all, doctorWarn)
	if failed == 0 {
		b.WriteString("\nEverything that a launch needs is there")
	} else {
		fmt.Fprintf(&b, "\n%s failed", plural(failed, "check"))
	}
	if warned > 0 {
		fmt.Fprintf(&b, "; %s of something weaker or missing", plural(warned, "warning"))
	}
	b.WriteString(".\n")
	return b.String()
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
