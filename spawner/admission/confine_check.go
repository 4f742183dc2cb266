package admission

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// maxPath bounds a path in bytes, as PATH_MAX does.
const maxPath = 4096

// Check calls bad for every value that no system could apply, with the name of
// its field and what is wrong. For a name that is not known, word is that name and
// known has those that are.
func (c *Confine) Check(bad func(field, problem, word string, known []string)) {
	if c.Umask != "" {
		if _, err := ParseUmask(c.Umask); err != nil {
			bad("umask", quote(c.Umask)+" "+err.Error(), "", nil)
		}
	}
	between(bad, "nice", c.Nice, -20, 19)
	between(bad, "oom_score_adj", c.OOMScoreAdj, -1000, 1000)
	if c.Cgroup != "" && (len(c.Cgroup) > maxPath || path.Clean("/"+c.Cgroup) != "/"+strings.TrimPrefix(c.Cgroup, "/")) {
		bad("cgroup", quote(c.Cgroup)+" is not a plain path below the control group root", "", nil)
	}
	c.DropCaps.check(bad)
	c.Limits.check(bad)
	if c.Landlock != nil {
		checkPaths(bad, "landlock.read", c.Landlock.Read)
		checkPaths(bad, "landlock.write", c.Landlock.Write)
		checkPaths(bad, "landlock.exec", c.Landlock.Exec)
	}
}

func (d DropCaps) check(bad func(field, problem, word string, known []string)) {
	if d.All && len(d.Names) > 0 {
		bad("drop_caps", "write all or a list of names, not both", "", nil)
	}
	for i, name := range d.Names {
		if !slices.Contains(CapNames(), name) {
			bad(fmt.Sprintf("drop_caps[%d]", i), quote(name)+" is not a capability; write it like CAP_NET_RAW", name, CapNames())
		}
	}
}

func (l Limits) check(bad func(field, problem, word string, known []string)) {
	for _, name := range slices.Sorted(maps.Keys(l)) {
		limit := l[name]
		switch {
		case !slices.Contains(LimitNames(), name):
			bad("limits."+shorten(name), "there is no such limit", name, LimitNames())
		case limit.Soft > limit.Hard:
			bad("limits."+name, fmt.Sprintf("soft (%d) is above hard (%d)", limit.Soft, limit.Hard), "", nil)
		}
	}
}

func between(bad func(field, problem, word string, known []string), field string, n *int, low, high int) {
	if n != nil && (*n < low || *n > high) {
		bad(field, fmt.Sprintf("%d is not between %d and %d", *n, low, high), "", nil)
	}
}

func checkPaths(bad func(field, problem, word string, known []string), field string, paths []string) {
	for i, p := range paths {
		at := fmt.Sprintf("%s[%d]", field, i)
		switch {
		case !strings.HasPrefix(p, "/"):
			bad(at, quote(p)+" is not an absolute path; begin it with '/'", "", nil)
		case len(p) > maxPath || strings.ContainsRune(p, 0):
			bad(at, fmt.Sprintf("the path holds a NUL byte or more than %d bytes", maxPath), "", nil)
		}
	}
}

func quote(s string) string { return strconv.Quote(shorten(s)) }

func shorten(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}
