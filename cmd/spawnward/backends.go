package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spawnward/spawnward/spawner"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/nearest"
	"github.com/spawnward/spawnward/spawner/service"
)

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func (a *app) ps(ctx context.Context, args []string) error {
	if len(args) != 0 {
		return usage("ps", "it takes no arguments")
	}
	if a.flags.watch < 0 || a.flags.watch > 0 && a.flags.output != "text" {
		return usage("ps", "--watch takes a positive duration, and goes with --output text")
	}
	l, err := a.launcher(nil)
	if err != nil {
		return err
	}
	if a.flags.watch > 0 {
		return a.watch(ctx, func() error { return a.psOnce(ctx, l) })
	}
	return a.psOnce(ctx, l)
}

func (a *app) psOnce(ctx context.Context, l *spawner.Local) error {
	list, err := l.List(ctx, "", "")
	if err != nil {
		return err
	}
	switch {
	case a.flags.output == "json":
		return a.printJSON(list)
	case a.flags.output == "name":
		var b strings.Builder
		for _, s := range list {
			if s.Service != "" {
				fmt.Fprintf(&b, "%s@%s\n", s.Service, s.Version)
			}
		}
		return a.printf("%s", b.String())
	case len(list) == 0:
		return a.printf("no recorded backends\n")
	}
	return a.printStatuses(list)
}

// watch prints again and again until it is interrupted, on a terminal in the
// same place.
func (a *app) watch(ctx context.Context, print func() error) error {
	_, terminal := terminalWidth(a.stdout)
	tick := time.NewTicker(a.flags.watch)
	defer tick.Stop()
	for {
		if terminal {
			if err := a.printf("\x1b[H\x1b[2J"); err != nil {
				return err
			}
		}
		if err := print(); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if !terminal {
			if err := a.printf("\n"); err != nil {
				return err
			}
		}
	}
}

func (a *app) printStatuses(list []spawner.Status) error {
	g := grid{head: []string{"SERVICE", "VERSION", "STATE", "PID", "AGE", "ENDPOINT", "WHY"}, cut: []int{5, 6}}
	for _, s := range list {
		pid, age := "-", "-"
		if s.Identity != nil {
			pid = fmt.Sprint(s.Identity.PID)
			age = ago(time.Since(time.UnixMilli(s.Identity.StartedAtUnixMS)))
		}
		g.rows = append(g.rows, []cell{
			{text: dash(s.Service)}, {text: dash(s.Version)}, {string(s.State), conditionPaint(s.State)},
			{text: pid}, {text: age}, {dash(s.Endpoint.Path), faint}, {text: s.Why},
		})
	}
	return a.printGrid(g)
}

func conditionPaint(c spawner.Condition) paint {
	switch c {
	case spawner.Live:
		return goodNews
	case spawner.Starting, spawner.Stale:
		return attend
	}
	return badNews
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return safe(s, false)
}

// probe verifies every recorded backend that the argument names; all must be
// live.
func (a *app) probe(ctx context.Context, args []string) error {
	l, name, version, err := a.known("probe", args)
	if err != nil {
		return err
	}
	list, err := l.List(ctx, name, version)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return code.New("probe "+args[0], code.ServiceUnknown, errors.New("no backend of it is recorded; launch it first"))
	}
	if a.flags.output == "json" && len(list) == 1 {
		err = a.printJSON(list[0])
	} else if a.flags.output == "json" {
		err = a.printJSON(list)
	} else {
		err = a.printStatuses(list)
	}
	for _, s := range list {
		if s.State != spawner.Live {
			return errors.Join(err, code.New("probe "+args[0], s.Code, fmt.Errorf("it is %s: %s", s.State, s.Why)))
		}
	}
	return err
}

func (a *app) known(verb string, args []string) (l *spawner.Local, name, version string, err error) {
	if len(args) != 1 {
		return nil, "", "", usage(verb, "it takes one SERVICE[@VERSION], not %d arguments", len(args))
	}
	if name, version, err = service.ParseRef(args[0]); err != nil {
		return nil, "", "", usage(verb, "%v", err)
	}
	l, err = a.launcher(nil)
	return l, name, version, err
}

// stoppedJSON is the form of one ended backend.
type stoppedJSON struct {
	Service string `json:"service"`
	Version string `json:"version"`
	PID     int    `json:"pid"` // 0 when it had never started
}

func (a *app) stop(ctx context.Context, args []string) error {
	l, name, version, err := a.known("stop", args)
	if err != nil {
		return err
	}
	if a.flags.timeout < 0 {
		return usage("stop", "--timeout %v is negative", a.flags.timeout)
	}
	done, stopErr := l.Stop(ctx, name, version, a.flags.timeout)
	result := struct {
		Stopped []stoppedJSON `json:"stopped"`
		Forced  []stoppedJSON `json:"forced"`
	}{[]stoppedJSON{}, []stoppedJSON{}}
	var text strings.Builder
	for _, d := range done {
		one := stoppedJSON{Service: d.Status.Service, Version: d.Status.Version}
		if d.Status.Identity != nil {
			one.PID = d.Status.Identity.PID
		}
		how := "stopped"
		switch {
		case d.Forced:
			how = "ended by force"
			result.Forced = append(result.Forced, one)
		case d.Status.State == spawner.Stale:
			how = "cleaned up after (" + d.Status.Why + ")"
			result.Stopped = append(result.Stopped, one)
		default:
			result.Stopped = append(result.Stopped, one)
		}
		fmt.Fprintf(&text, "%s %s@%s pid %d\n", how, one.Service, one.Version, one.PID)
	}
	if len(done) == 0 && stopErr == nil {
		text.WriteString("nothing to stop: no backend of " + args[0] + " is recorded" + a.recordedHint(ctx, l, name) + "\n")
	}
	if a.flags.output == "json" {
		return errors.Join(stopErr, a.printJSON(result))
	}
	return errors.Join(stopErr, a.printf("%s", text.String()))
}

// recordedHint names the recorded service that was probably meant.
func (a *app) recordedHint(ctx context.Context, l *spawner.Local, name string) string {
	list, err := l.List(ctx, "", "")
	if err != nil {
		return "" // what was asked for is answered without it
	}
	var names []string
	for _, s := range list {
		if s.Service != "" && s.Service != name {
			names = append(names, s.Service)
		}
	}
	return nearest.Hint(name, names)
}
