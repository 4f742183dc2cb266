package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spawnward/spawnward/spawner/confine"
)

// printConfinement lists what will be applied to the backend.
func (a *app) printConfinement(p *confine.Plan) error {
	if p == nil {
		return nil
	}
	rows := [][2]string{{"\nConfinement", ""}}
	add := func(asked bool, name, value string) {
		if asked {
			rows = append(rows, [2]string{"  " + name, value})
		}
	}
	add(p.NoNewPrivs, "no_new_privs", "true")
	add(p.Umask != "", "umask", p.Umask)
	add(p.Nice != nil, "nice", number(p.Nice))
	add(p.OOMScoreAdj != nil, "oom_score_adj", number(p.OOMScoreAdj))
	add(p.Cgroup != "", "cgroup", p.Cgroup)
	add(p.DropCaps.All, "drop_caps", "all")
	add(len(p.DropCaps.Names) > 0, "drop_caps", strings.Join(p.DropCaps.Names, ", "))
	for _, name := range slices.Sorted(maps.Keys(p.Limits)) {
		add(true, "limits."+name, fmt.Sprintf("%d, at most %d", p.Limits[name].Soft, p.Limits[name].Hard))
	}
	for _, r := range p.Landlock {
		add(true, "landlock of "+r.From, "")
		add(true, "  read", strings.Join(r.Read, " "))
		add(true, "  write", strings.Join(r.Write, " "))
		add(true, "  exec", strings.Join(r.Exec, " "))
	}
	return a.table(rows)
}

func number(n *int) string {
	if n == nil {
		return ""
	}
	return fmt.Sprint(*n)
}
