package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spawnward/spawnward/spawner"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/service"
)

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func (a *app) ps(ctx context.Context, args []string) error {
	if len(args) != 0 {
		return usage("ps", "it takes no arguments")
	}
	l, err := a.launcher(nil)
	if err != nil {
		return err
	}
	list, err := l.List(ctx, "", "")
	if err != nil {
		return err
	}
	if a.flags.output == "json" {
		return a.printJSON(list)
	}
	if len(list) == 0 {
		return a.printf("no recorded backends\n")
	}
	return a.printStatuses(list)
}

func (a *app) printStatuses(list []spawner.Status) error {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SERVICE\tVERSION\tSTATE\tPID\tAGE\tENDPOINT\tWHY")
	for _, s := range list {
		pid, age := "-", "-"
		if s.Identity != nil {
			pid = fmt.Sprint(s.Identity.PID)
			age = time.Since(time.UnixMilli(s.Identity.StartedAtUnixMS)).Round(time.Second).String()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", dash(s.Service), dash(s.Version), s.State, pid, age, dash(s.Endpoint.Path), safe(s.Why, false))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return a.printf("%s", b.String())
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
		text.WriteString("nothing to stop: no backend of " + args[0] + " is recorded\n")
	}
	if a.flags.output == "json" {
		return errors.Join(stopErr, a.printJSON(result))
	}
	return errors.Join(stopErr, a.printf("%s", text.String()))
}
