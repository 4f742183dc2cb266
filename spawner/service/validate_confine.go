package service

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/spawnward/spawnward/spawner/nearest"
)

// limitNames are the resource limits of Linux.
const limitNames = "as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack"

func (v validator) confine(c *Confine) {
	const field = "launch.confine."
	if n := len(c.Umask); n > 0 && (n < 3 || n > 4 || strings.Trim(c.Umask, "01234567") != "" || n == 4 && c.Umask[0] != '0') {
		v.bad(field+"umask", "%s is not a mask; write three octal digits, such as \"0077\", in quotes", quoteShort(c.Umask))
	}
	v.between(field+"nice", c.Nice, -20, 19)
	v.between(field+"oom_score_adj", c.OOMScoreAdj, -1000, 1000)
	if c.Cgroup != "" && (len(c.Cgroup) > maxPath || path.Clean("/"+c.Cgroup) != "/"+strings.TrimPrefix(c.Cgroup, "/")) {
		v.bad(field+"cgroup", "%s is not a plain path below the control group root", quoteShort(c.Cgroup))
	}
	if c.DropCaps.All && len(c.DropCaps.Names) > 0 {
		v.bad(field+"drop_caps", "write all or a list of names, not both")
	}
	for i, name := range c.DropCaps.Names {
		if !strings.HasPrefix(name, "CAP_") || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") != "" {
			v.bad(fmt.Sprintf("%sdrop_caps[%d]", field, i), "%s is not a capability; write it like CAP_NET_RAW", quoteShort(name))
		}
	}
	known := strings.Fields(limitNames)
	for _, name := range sortedKeys(c.Limits) {
		limit := c.Limits[name]
		switch {
		case !slices.Contains(known, name):
			v.bad(field+"limits."+shorten(name), "there is no such limit%s", nearest.Hint(name, known))
		case limit.Soft > limit.Hard:
			v.bad(field+"limits."+name, "soft (%d) is above hard (%d)", limit.Soft, limit.Hard)
		}
	}
	if c.Landlock != nil {
		v.paths(field+"landlock.read", c.Landlock.Read)
		v.paths(field+"landlock.write", c.Landlock.Write)
		v.paths(field+"landlock.exec", c.Landlock.Exec)
	}
}

func (v validator) between(field string, n *int, low, high int) {
	if n != nil && (*n < low || *n > high) {
		v.bad(field, "%d is not between %d and %d", *n, low, high)
	}
}

func (v validator) paths(field string, paths []string) {
	for i, p := range paths {
		v.path(fmt.Sprintf("%s[%d]", field, i), p)
	}
}
