package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spawnward/spawnward/cmd/internal/report"
	"github.com/spawnward/spawnward/spawner/code"
)

func (a *app) logReport(_ context.Context, args []string) error {
	f := a.flags.logs
	switch {
	case len(args) != 0:
		return usage("log report", "it takes no arguments")
	case f.html == "":
		return usage("log report", "--html FILE says where the page is written to")
	case f.limit < 0:
		return usage("log report", "--limit %d is negative", f.limit)
	case f.html == "-" && a.flags.output == "json":
		return usage("log report", "--html - and --output json would both write to standard output")
	}
	now := time.Now()
	rows, err := a.logRows(&shower{facts: true}, now)
	if err != nil {
		return err
	}
	launches := make([]report.Launch, 0, len(rows))
	for _, r := range rows {
		launches = append(launches, launchOf(r))
	}
	r := report.New(launches, report.Options{Now: now, Limit: f.limit, Filter: filterText(f)})
	if f.html == "-" {
		return r.HTML(a.stdout)
	}
	if err := writePage(f.html, r); err != nil {
		return code.New("write "+f.html, code.OutputFailed, err)
	}
	if a.flags.output == "json" {
		return a.printJSON(struct {
			File      string `json:"file"`
			Decisions int    `json:"decisions"`
			Shown     int    `json:"shown"`
		}{f.html, r.Total, len(r.Launches)})
	}
	return a.printf("%s: %s, %d shown one by one\n", f.html, plural(r.Total, "decision"), len(r.Launches))
}

func launchOf(r *logRow) report.Launch {
	caller := r.Caller.User
	if caller == "" {
		caller = fmt.Sprint(r.Caller.UID)
	}
	return report.Launch{
		ID: r.DecisionID, When: r.Timestamp, Service: r.Service, Version: r.Version, Instance: r.Instance,
		Verdict: r.Verdict, Outcome: r.Outcome, Codes: r.Codes, Message: r.Message, Digest: r.Digest, PID: r.PID,
		Binding: string(r.Binding), Caller: caller, Policy: r.Policy.ID, DurationsUS: r.durations,
		File: r.File, Line: r.Line, Input: r.input, Result: r.result,
	}
}

func filterText(f logFlags) string {
	var parts []string
	for _, p := range [][2]string{{"service", f.service}, {"code", f.code}, {"outcome", f.outcome}, {"since", f.since}, {"until", f.until}} {
		if p[1] != "" {
			parts = append(parts, p[0]+" "+p[1])
		}
	}
	return strings.Join(parts, ", ")
}

// writePage puts the whole page in place at once. What it says of a machine is
// for its owner alone.
func writePage(name string, r *report.Report) error {
	if st, err := os.Stat(name); err == nil && st.IsDir() {
		return errors.New("it is a directory; name a file in it")
	}
	out, err := os.CreateTemp(filepath.Dir(name), ".report-*")
	if err != nil {
		return err
	}
	err = errors.Join(r.HTML(out), out.Close())
	if err == nil {
		err = os.Rename(out.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(out.Name()))
	}
	return nil
}
