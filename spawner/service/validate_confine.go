package service

import (
	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/nearest"
)

// Ask gives what the definition asks for in the words of an obligation.
func (c *Confine) Ask() admission.Confine {
	ask := admission.Confine{
		NoNewPrivs: c.NoNewPrivs, Umask: c.Umask, Nice: c.Nice, OOMScoreAdj: c.OOMScoreAdj, Cgroup: c.Cgroup,
		DropCaps: admission.DropCaps{All: c.DropCaps.All, Names: c.DropCaps.Names}, Limits: admission.Limits{},
	}
	for name, limit := range c.Limits {
		ask.Limits[name] = admission.Limit(limit)
	}
	if l := c.Landlock; l != nil {
		ask.Landlock = &admission.Landlock{Read: l.Read, Write: l.Write, Exec: l.Exec}
	}
	return ask
}

func (v validator) confine(c *Confine) {
	ask := c.Ask()
	ask.Check(func(field, problem, word string, known []string) {
		v.bad("launch.confine."+field, "%s%s", problem, nearest.Hint(word, known))
	})
}
