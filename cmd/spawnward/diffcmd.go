package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/spawnward/spawnward/policy"
	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/decisionlog"
)

// diffRow is one logged launch that the two policies judge differently, or that
// cannot be judged again.
type diffRow struct {
	DecisionID string    `json:"decision_id"`
	Timestamp  time.Time `json:"timestamp"`
	Service    string    `json:"service"`
	Version    string    `json:"version"`
	// Change is "allow to deny", "deny to allow", "codes" or "not replayable".
	Change string `json:"change"`
	// Added and Removed are codes of violations.
	Added   []code.Code `json:"added"`
	Removed []code.Code `json:"removed"`
	Why     string      `json:"why"` // not replayable, or an evaluation that failed
}

// diffResult is what policy diff says; its JSON form is fixed by
// rego/schema/diff.json.
type diffResult struct {
	Old           admission.PolicyID `json:"old"`
	New           admission.PolicyID `json:"new"`
	Replayed      int                `json:"replayed"` // decisions that both could judge
	Same          int                `json:"same"`
	Denied        int                `json:"denied"`  // by new, not by old
	Allowed       int                `json:"allowed"` // by new, not by old
	Codes         int                `json:"codes"`   // other changes
	NotReplayable int                `json:"not_replayable"`
	// UnlikeLogged is how many of them old judges otherwise than the log says:
	// then old is not the policy that decided.
	UnlikeLogged int       `json:"unlike_logged"`
	Rows         []diffRow `json:"rows"`
}

func (a *app) diffCommand() *command {
	return &command{
		name: "diff", args: "OLD NEW", short: "decide what is logged again under two policies and show what would change",
		example: "spawnward policy diff site-policy new-policy\n  spawnward policy diff embedded site.tar.gz --against decisions-000001.jsonl",
		flags: func(fs *pflag.FlagSet) {
			fs.StringArrayVar(&a.flags.against, "against", nil, "a file of a decision log, or its directory; may be given again (default: your own log)")
			a.stateFlags(fs)
			a.logFlag(fs)
		}, run: a.policyDiff,
	}
}

func (a *app) policyDiff(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return usage("policy diff", "it takes two policies, OLD and NEW, not %d arguments; embedded is the library alone", len(args))
	}
	var engines [2]*policy.Engine
	for i, path := range args {
		if path == "embedded" {
			path = ""
		}
		e, err := policy.Load(ctx, policy.Options{Path: path, Deadline: time.Minute})
		if err != nil {
			return err
		}
		engines[i] = e
	}
	paths, err := logPaths(a.flags.against)
	if err != nil {
		return err
	}
	files, err := a.logFiles(paths)
	if err != nil {
		return err
	}
	defer closeAll(files)
	d := &differ{old: engines[0], new: engines[1], out: &diffResult{Old: engines[0].ID(), New: engines[1].ID(), Rows: []diffRow{}}}
	for _, f := range files {
		if err := d.read(ctx, f); err != nil {
			return code.New("replay "+f.Name(), codeOf(err), err)
		}
	}
	if a.flags.output == "json" {
		return a.printJSON(d.out)
	}
	return a.printDiff(d.out)
}

// logPaths turns directories into the log files in them, oldest first.
func logPaths(named []string) ([]string, error) {
	var out []string
	for _, path := range named {
		st, err := os.Stat(path)
		if err != nil {
			return nil, code.New("policy diff", code.Failed, err)
		}
		if !st.IsDir() {
			out = append(out, path)
			continue
		}
		found, err := filepath.Glob(filepath.Join(path, "decisions*.jsonl"))
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, code.New("policy diff", code.Failed, fmt.Errorf("%s holds no decisions*.jsonl", path))
		}
		slices.Sort(found) // "decisions-…" stands before "decisions."
		out = append(out, found...)
	}
	return out, nil
}

type differ struct {
	old, new *policy.Engine
	out      *diffResult
}

func (d *differ) read(ctx context.Context, r io.Reader) error {
	return decisionlog.Lines(r, func(l decisionlog.Line) error {
		if err := ctx.Err(); err != nil {
			return code.New("replay", code.Canceled, err)
		}
		e, err := decisionlog.Parse(l.Text)
		if err != nil || e.Event != decisionlog.KindDecision {
			return nil // what is no event has nothing to replay; log verify says where
		}
		return d.compare(ctx, e)
	})
}

// verdict is what one policy says.
type verdict struct {
	allow bool
	codes []code.Code
	why   string // an evaluation that failed, which denies
}

func judge(ctx context.Context, e *policy.Engine, input []byte) (verdict, error) {
	d, err := e.Replay(ctx, input)
	if errors.Is(err, policy.ErrNotReplayable) || ctx.Err() != nil {
		return verdict{}, err
	}
	if err != nil {
		return verdict{codes: []code.Code{codeOf(err)}, why: err.Error()}, nil
	}
	v := verdict{allow: d.Allow}
	for _, f := range d.Violations {
		v.codes = append(v.codes, f.Code)
	}
	return v, nil
}

func (d *differ) compare(ctx context.Context, e *decisionlog.Entry) error {
	row := diffRow{DecisionID: e.DecisionID, Timestamp: e.Timestamp, Service: e.Service, Version: e.Version, Added: []code.Code{}, Removed: []code.Code{}}
	old, err := judge(ctx, d.old, e.Input)
	var next verdict
	if err == nil {
		next, err = judge(ctx, d.new, e.Input)
	}
	if err != nil && ctx.Err() != nil {
		return err
	}
	if err != nil {
		d.out.NotReplayable++
		row.Change, row.Why = "not replayable", strings.TrimPrefix(err.Error(), policy.ErrNotReplayable.Error()+": ")
		d.out.Rows = append(d.out.Rows, row)
		return nil
	}
	d.out.Replayed++
	if !equalCodes(old.codes, e.Codes) {
		d.out.UnlikeLogged++
	}
	row.Added, row.Removed, row.Why = lacking(next.codes, old.codes), lacking(old.codes, next.codes), next.why
	switch {
	case old.allow && !next.allow:
		d.out.Denied++
		row.Change = "allow to deny"
	case !old.allow && next.allow:
		d.out.Allowed++
		row.Change = "deny to allow"
	case len(row.Added)+len(row.Removed) > 0:
		d.out.Codes++
		row.Change = "codes"
	default:
		d.out.Same++
		return nil
	}
	d.out.Rows = append(d.out.Rows, row)
	return nil
}

// lacking lists what stands in a and not in b.
func lacking(a, b []code.Code) []code.Code {
	out := []code.Code{}
	for _, c := range a {
		if !slices.Contains(b, c) && !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	return out
}

func equalCodes(a, b []code.Code) bool { return len(lacking(a, b))+len(lacking(b, a)) == 0 }

func (a *app) printDiff(r *diffResult) error {
	g := grid{head: []string{"WHEN", "SERVICE", "CHANGE", "DECISION", "CODES"}, cut: []int{4, 1}}
	now := time.Now()
	for _, row := range r.Rows {
		var codes []string
		for _, c := range row.Added {
			codes = append(codes, "+"+string(c))
		}
		for _, c := range row.Removed {
			codes = append(codes, "-"+string(c))
		}
		if row.Why != "" {
			codes = append(codes, row.Why)
		}
		p := attend
		if row.Change == "deny to allow" {
			p = badNews // somebody should look at what is let in
		}
		g.rows = append(g.rows, []cell{{since(now, row.Timestamp), faint}, {row.Service + "@" + row.Version, noPaint}, {row.Change, p}, {fmt.Sprintf("%.12s", row.DecisionID), noPaint}, {strings.Join(codes, " "), noPaint}})
	}
	if len(g.rows) > 0 {
		if err := a.printGrid(g); err != nil {
			return err
		}
	}
	text := fmt.Sprintf("%s replayed: %d the same, %d newly denied, %d newly allowed, %d with other codes; %d not replayable\n",
		plural(r.Replayed, "decision"), r.Same, r.Denied, r.Allowed, r.Codes, r.NotReplayable)
	if r.UnlikeLogged > 0 {
		text += fmt.Sprintf("OLD judges %d of them otherwise than the log says: it is not the policy that decided then\n", r.UnlikeLogged)
	}
	return a.printf("%s", text)
}
