package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spawnward/spawnward/spawner"
	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/decisionlog"
	"github.com/spawnward/spawnward/spawner/nearest"
)

// unfinished is a decision of which nobody told what came of it: the launch is
// under way, or its launcher was killed.
const unfinished = "unfinished"

// outcomes are those that a launch in the log can have.
func outcomes() []string {
	return []string{string(spawner.Launched), string(spawner.Reused), string(spawner.Executed), string(spawner.Denied), string(spawner.Failed), unfinished}
}

// logRow is one launch in the log; its JSON form is fixed by
// rego/schema/log_show.json.
type logRow struct {
	DecisionID string             `json:"decision_id"`
	Timestamp  time.Time          `json:"timestamp"`
	Service    string             `json:"service"`
	Version    string             `json:"version"`
	Instance   string             `json:"instance"`
	Verdict    string             `json:"verdict"`
	Outcome    string             `json:"outcome"`
	Codes      []code.Code        `json:"codes"`
	Message    string             `json:"message,omitempty"`
	Digest     string             `json:"digest"`
	PID        int                `json:"pid,omitempty"`
	Binding    admission.Binding  `json:"binding,omitempty"`
	Caller     decisionlog.Caller `json:"caller"`
	Policy     admission.PolicyID `json:"policy"`
	File       string             `json:"file"`
	Line       int                `json:"line"`
	// Events are the whole lines, with --decision.
	Events []json.RawMessage `json:"events,omitempty"`

	// What only a report shows.
	durations     map[string]int64
	input, result json.RawMessage
}

func (a *app) logShow(_ context.Context, args []string) error {
	if len(args) != 0 {
		return usage("log show", "it takes no arguments")
	}
	now := time.Now()
	if a.flags.logs.head {
		files, err := a.logFiles(nil)
		if err != nil {
			return err
		}
		defer closeAll(files)
		return a.printHead(files)
	}
	s := &shower{whole: a.flags.logs.decision != ""}
	rows, err := a.logRows(s, now)
	if err != nil {
		return err
	}
	if a.flags.output == "json" {
		return a.printJSON(append([]*logRow{}, rows...))
	}
	if a.flags.output == "name" {
		var b strings.Builder
		for _, r := range rows {
			b.WriteString(safe(r.DecisionID, false) + "\n")
		}
		return a.printf("%s", b.String())
	}
	if len(rows) == 0 {
		return a.printf("nothing of that kind is logged%s\n", s.serviceHint())
	}
	return a.printRows(rows, now)
}

// logRows reads the log and keeps the launches that the flags ask for.
func (a *app) logRows(s *shower, now time.Time) ([]*logRow, error) {
	s.f, s.byID = a.flags.logs, map[string]*logRow{}
	err := s.f.check()
	if err != nil {
		return nil, err
	}
	if s.since, err = when("--since", s.f.since, now); err != nil {
		return nil, err
	}
	if s.until, err = when("--until", s.f.until, now); err != nil {
		return nil, err
	}
	files, err := a.logFiles(nil)
	if err != nil {
		return nil, err
	}
	defer closeAll(files)
	for _, file := range files {
		if err := s.read(file); err != nil {
			return nil, code.New("read "+file.Name(), code.LogBroken, err)
		}
	}
	if s.bad > 0 {
		// The rest is shown; what the lines should have been, nobody knows.
		_, _ = fmt.Fprintf(a.stderr, "spawnward: warning: %s of the log cannot be read; log verify says where\n", plural(s.bad, "line"))
	}
	return slices.DeleteFunc(s.rows, func(r *logRow) bool { return !s.wanted(r) }), nil
}

func (a *app) printHead(files []*os.File) error {
	var in []decisionlog.File
	for _, f := range files {
		in = append(in, decisionlog.File{Name: f.Name(), Reader: f})
	}
	v, err := decisionlog.Verify(in, "")
	if err != nil {
		return code.New("read the log", code.LogBroken, err)
	}
	if a.flags.output == "json" {
		return a.printJSON(struct {
			Head  string `json:"head"`
			Lines int    `json:"lines"`
		}{v.Head, v.Lines})
	}
	return a.printf("%s\n", v.Head)
}

// shower joins decisions and outcomes.
type shower struct {
	f            logFlags
	since, until time.Time
	whole        bool
	facts        bool // keep what a report shows
	rows         []*logRow
	byID         map[string]*logRow
	bad          int
}

func (s *shower) read(f *os.File) error {
	return decisionlog.Lines(f, func(l decisionlog.Line) error {
		e, err := decisionlog.Parse(l.Text)
		if err != nil {
			s.bad++
			return nil
		}
		r := s.byID[e.DecisionID]
		if e.Event == decisionlog.KindDecision {
			r = &logRow{
				DecisionID: e.DecisionID, Timestamp: e.Timestamp, Service: e.Service, Version: e.Version, Instance: e.Instance,
				Verdict: e.Verdict, Outcome: unfinished, Codes: append([]code.Code{}, e.Codes...), Digest: e.Digest, Caller: e.Caller, Policy: e.Policy,
				File: filepath.Base(f.Name()), Line: l.Number,
			}
			if s.facts {
				r.input, r.result = e.Input, e.Result
			}
			s.byID[e.DecisionID] = r
			s.rows = append(s.rows, r)
		}
		if r == nil {
			return nil // its decision stood in a file that was taken away
		}
		if e.Error != nil {
			r.Message = e.Error.Message
			if !slices.Contains(r.Codes, e.Error.Code) {
				r.Codes = append(r.Codes, e.Error.Code)
			}
		}
		if e.Event == decisionlog.KindOutcome {
			r.Outcome, r.PID, r.Binding, r.durations = e.Outcome, e.PID, e.Binding, e.DurationsUS
		}
		if s.whole {
			r.Events = append(r.Events, json.RawMessage(l.Text))
		}
		return nil
	})
}

// serviceHint is for a service that the log does not know.
func (s *shower) serviceHint() string {
	var names []string
	for _, r := range s.byID {
		if r.Service == s.f.service {
			return ""
		}
		names = append(names, r.Service)
	}
	slices.Sort(names) // the same hint each time
	return nearest.Hint(s.f.service, names)
}

func (s *shower) wanted(r *logRow) bool {
	return (s.f.service == "" || r.Service == s.f.service) &&
		(s.f.code == "" || slices.Contains(r.Codes, code.Code(s.f.code))) &&
		(s.f.outcome == "" || r.Outcome == s.f.outcome) &&
		strings.HasPrefix(r.DecisionID, s.f.decision) &&
		!r.Timestamp.Before(s.since) && (s.until.IsZero() || r.Timestamp.Before(s.until))
}

func (a *app) printRows(rows []*logRow, now time.Time) error {
	g := grid{head: []string{"WHEN", "SERVICE", "OUTCOME", "PID", "DECISION", "CODES"}, cut: []int{5, 1}}
	for _, r := range rows {
		pid := ""
		if r.PID != 0 {
			pid = fmt.Sprint(r.PID)
		}
		var codes []string
		for _, c := range r.Codes {
			codes = append(codes, string(c))
		}
		g.rows = append(g.rows, []cell{
			{since(now, r.Timestamp), faint}, {r.Service + "@" + r.Version, noPaint}, outcomeCell(r), {pid, noPaint},
			{fmt.Sprintf("%.12s", r.DecisionID), noPaint}, {strings.Join(codes, " "), noPaint},
		})
	}
	return a.printGrid(g)
}

func outcomeCell(r *logRow) cell {
	c := cell{r.Outcome, attend}
	switch r.Outcome {
	case "launched", "reused", "executed":
		c.paint = goodNews
	case "denied", "failed":
		c.paint = badNews
	}
	if r.Verdict == decisionlog.Monitored {
		c = cell{r.Outcome + " (monitored)", attend}
	}
	return c
}

func since(now, then time.Time) string {
	if then.After(now.Add(time.Second)) {
		return then.Local().Format(time.DateTime)
	}
	return ago(now.Sub(then)) + " ago"
}
