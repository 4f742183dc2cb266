package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spawnward/spawnward/policy"
	"github.com/spawnward/spawnward/spawner"
)

func (a *app) explainCommand() *command {
	return &command{
		name: "explain", args: "SERVICE[@VERSION] [-- ARG...]", short: "say which rules decided a launch, what they read, and what would make it pass",
		example: "spawnward policy explain redis@7.0.15\n  spawnward policy explain --policy site-policy redis -o json",
		flags:   a.launchFlags, run: a.policyExplain,
	}
}

// policyExplain decides as check does, and ends as check does.
func (a *app) policyExplain(ctx context.Context, args []string) error {
	l, req, err := a.prepare(ctx, "policy explain", args)
	if err != nil {
		return a.failLaunch(req, err)
	}
	r, err := l.Check(ctx, req)
	if err != nil {
		return a.failLaunch(req, err)
	}
	x, err := a.engine.Explain(ctx, r.Input)
	if err != nil {
		return a.failLaunch(req, err)
	}
	if a.flags.output == "json" {
		err = a.printJSON(x)
	} else {
		err = a.printf("%s", explanationText(r, x, a.brush(a.stdout)))
	}
	if err == nil && !x.Decision.Allow {
		return silent{&spawner.DeniedError{Decision: x.Decision}}
	}
	return err
}

func explanationText(r *spawner.Report, x *policy.Explanation, brush brush) string {
	var b strings.Builder
	verdict := brush(goodNews, "allowed")
	if !x.Decision.Allow {
		verdict = brush(badNews, "denied")
	}
	fmt.Fprintf(&b, "%s %s@%s by policy %s: %s fired of %d that were looked at\n", verdict, safe(r.Service, false), safe(r.Version, false), x.Decision.Policy.ID, plural(len(x.Fired), "rule"), x.Looked)
	for _, f := range x.Fired {
		fmt.Fprintf(&b, "\n%s %s  %s\n", f.Kind, safe(f.Gave, false), safe(f.Location, false))
		for _, fact := range f.Facts {
			fmt.Fprintf(&b, "  %s = %s\n", safe(fact.Path, false), safe(short(fact.Value), false))
		}
	}
	for _, f := range x.Decision.Violations {
		fmt.Fprintf(&b, "\n%s: %s\n", brush(badNews, string(f.Code)), safe(f.Message, false))
	}
	return b.String() + remediesText(x.Remedies, brush)
}

// maxFact is how much of a fact is shown, in characters; -o json has all of it.
const maxFact = 120

func short(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		data = []byte(fmt.Sprint(v))
	}
	return cutTo(string(data), maxFact)
}

// remediesText tells what would make a launch pass, with the lines to write.
func remediesText(list []policy.Remedy, brush brush) string {
	if len(list) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n", brush(heading, "What would make it pass:"))
	for _, r := range list {
		fmt.Fprintf(&b, "\n  %s: %s\n", r.Code, safe(r.Change, false))
		if r.Snippet == "" {
			continue
		}
		where := "in the site's data.yaml"
		if r.Kind == "definition" {
			where = "in the definition"
			if r.File != "" {
				where += " " + safe(r.File, false)
			}
		}
		fmt.Fprintf(&b, "    %s:\n      %s\n", where, strings.ReplaceAll(safe(strings.TrimSuffix(r.Snippet, "\n"), true), "\n", "\n      "))
	}
	return b.String()
}
