package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spawnward/spawnward/spawner"
	"github.com/spawnward/spawnward/spawner/decisionlog"
	"github.com/spawnward/spawnward/spawner/endpoint"
	"github.com/spawnward/spawnward/spawner/service"
)

// checkHost looks at what names this machine and at what root has pinned.
func (a *app) checkHost(context.Context) []diagnosis {
	var out []diagnosis
	id, err := endpoint.MachineID()
	switch {
	case err == nil:
		out = append(out, ok("machine id", "/etc/machine-id", id+" names this machine in the user hash"))
	case a.flags.userHash != "":
		out = append(out, diagnosis{"machine id", doctorWarn, "/etc/machine-id", err.Error() + "; --user-hash names the user instead", ""})
	default:
		out = append(out, diagnosis{"machine id", doctorFail, "/etc/machine-id", err.Error(),
			"Pass --user-hash with 16 hexadecimal digits, or give the machine an id with systemd-machine-id-setup."})
	}
	if id, err := endpoint.BootID(); err != nil {
		out = append(out, fails("boot id", "/proc/sys/kernel/random/boot_id", err))
	} else {
		out = append(out, ok("boot id", "/proc/sys/kernel/random/boot_id", id+" tells the records of this boot from older ones"))
	}
	pinned, err := a.pinned()
	if err != nil {
		return append(out, fails("pinned settings", a.pinnedConfig, err))
	}
	keys := pinned.settled()
	if len(keys) == 0 {
		return append(out, ok("pinned settings", a.pinnedConfig, "nothing is pinned: whoever calls the command chooses policy, services and state"))
	}
	return append(out, ok("pinned settings", a.pinnedConfig, "root has pinned "+strings.Join(keys, ", ")))
}

// checkPlaces looks at the directories of the launcher's own, and at what is
// recorded in them.
func (a *app) checkPlaces(ctx context.Context) []diagnosis {
	l, err := a.launcher(nil)
	if err != nil {
		return []diagnosis{fails("directories", "state and runtime directory", err)}
	}
	var out []diagnosis
	usable := true
	for _, p := range l.Places() {
		if p.Err != nil {
			usable = false
			out = append(out, fails(p.What, p.Path, p.Err))
			continue
		}
		out = append(out, ok(p.What, p.Path, "it is private to this user, and can be written"))
	}
	out = append(out, checkLog(ctx, l)...)
	if !usable {
		return out
	}
	list, err := l.List(ctx, "", "")
	if err != nil {
		return append(out, fails("recorded backends", "the records", err))
	}
	return append(out, recordedBackends(list))
}

// checkLog opens the decision log as a launch would.
func checkLog(ctx context.Context, l *spawner.Local) []diagnosis {
	own, is := l.Log().(*decisionlog.Log)
	if !is {
		return nil
	}
	defer own.Close()
	if err := own.Writable(ctx); err != nil {
		return []diagnosis{fails("decision log", own.Path(), err)}
	}
	return []diagnosis{ok("decision log", own.Path(), "it is private to this user, and can be written")}
}

func recordedBackends(list []spawner.Status) diagnosis {
	count := map[spawner.Condition]int{}
	var why []string
	for _, s := range list {
		count[s.State]++
		if s.State == spawner.Unknown || s.State == spawner.Unresponsive {
			why = append(why, fmt.Sprintf("%s@%s is %s: %s", dash(s.Service), dash(s.Version), s.State, s.Why))
		}
	}
	d := ok("recorded backends", plural(len(list), "record"), fmt.Sprintf("%d live, %d starting, %d ended", count[spawner.Live], count[spawner.Starting], count[spawner.Stale]))
	if len(why) > 0 {
		d.Status, d.Fix = doctorWarn, "spawnward ps shows them; spawnward stop ends what answers no more and removes its record."
		d.Means += "\n" + strings.Join(why, "\n")
	}
	return d
}

// checkServices reads every definition as a launch would.
func (a *app) checkServices(context.Context) []diagnosis {
	dirs, err := a.dirs()
	if err != nil {
		return []diagnosis{fails("services", "the services directories", err)}
	}
	var places []string
	for _, p := range []string{dirs.System, dirs.User} {
		if p == "" {
			continue
		}
		if _, err := os.Lstat(p); errors.Is(err, fs.ErrNotExist) {
			p += " (not there)"
		}
		places = append(places, p)
	}
	looked := strings.Join(places, ", ")
	entries, errs := service.List(dirs)
	for _, e := range entries {
		if _, err := service.Load(dirs, e.Name); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return []diagnosis{fails("services", looked, errors.Join(errs...))}
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name)
	}
	if len(names) == 0 {
		if dirs.User == "" {
			return []diagnosis{ok("services", looked, "no service is defined; root puts definitions there")}
		}
		return []diagnosis{ok("services", looked, "no service is defined; spawnward service add FILE adds one")}
	}
	return []diagnosis{ok("services", looked, plural(len(names), "valid definition")+": "+strings.Join(names, ", "))}
}

// checkPolicy loads the policy that a launch would ask.
func (a *app) checkPolicy(ctx context.Context) []diagnosis {
	looked := "the embedded library"
	pinned, err := a.pinned()
	if err == nil {
		if path, err := pinned.choose("policy", pinned.Policy, a.flags.policy.text); err == nil && path != "" {
			looked += " and " + path
		}
	}
	e, err := a.loadPolicy(ctx, false)
	if err != nil {
		return []diagnosis{fails("policy", looked, err)}
	}
	d := ok("policy", looked, "it loads as "+e.ID().ID)
	if mode := e.Settings("").Mode; mode != "enforce" {
		d.Status, d.Means = doctorWarn, d.Means+"; in mode "+mode+" a denial that a team could waive is only reported"
		d.Fix = "Set config.mode to enforce when the reports are as expected, or pass --mode enforce."
	}
	return []diagnosis{d}
}
