package confine

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/spawnward/spawnward/spawner/admission"
)

// Merge gives the confinement that is at least as strict as both. What only one
// side asks for stands. For what both ask for, stricter is:
//
//	no_new_privs   true
//	umask          the bits of both
//	nice           the larger number
//	oom_score_adj  the larger number
//	cgroup         the group that is below the other one
//	drop_caps      the capabilities of both
//	limits         of each limit the smaller soft and the smaller hard value
//	landlock       what both let through; not merged here: both lists are applied
//
// Control groups of which neither is below the other are an error.
func Merge(policy, definition *admission.Confine) (admission.Confine, error) {
	a, b := policy, definition
	out := admission.Confine{
		NoNewPrivs:  a.NoNewPrivs || b.NoNewPrivs,
		Nice:        larger(a.Nice, b.Nice),
		OOMScoreAdj: larger(a.OOMScoreAdj, b.OOMScoreAdj),
		DropCaps:    bothCaps(a.DropCaps, b.DropCaps),
		Limits:      bothLimits(a.Limits, b.Limits),
	}
	var err error
	if out.Umask, err = bothMasks(a.Umask, b.Umask); err != nil {
		return admission.Confine{}, err
	}
	if out.Cgroup, err = lower(a.Cgroup, b.Cgroup); err != nil {
		return admission.Confine{}, err
	}
	return out, nil
}

func larger(a, b *int) *int {
	switch {
	case a == nil:
		return b
	case b == nil || *a >= *b:
		return a
	}
	return b
}

func bothMasks(a, b string) (string, error) {
	var bits int
	for _, text := range []string{a, b} {
		if text == "" {
			continue
		}
		mask, err := admission.ParseUmask(text)
		if err != nil {
			return "", lacking("umask", fmt.Errorf("%q %w", text, err))
		}
		bits |= mask
	}
	if a == "" && b == "" {
		return "", nil
	}
	return fmt.Sprintf("%04o", bits), nil
}

func lower(a, b string) (string, error) {
	switch {
	case b == "" || below(b, a):
		return a, nil
	case a == "" || below(a, b):
		return b, nil
	}
	return "", lacking("cgroup", fmt.Errorf("the definition asks for %s, which is neither %s of policy nor below it; name a group below that", b, a))
}

// below reports whether dir is p or above it.
func below(dir, p string) bool {
	dir, p = path.Clean("/"+dir), path.Clean("/"+p)
	return p == dir || dir == "/" || strings.HasPrefix(p, dir+"/")
}

func bothCaps(a, b admission.DropCaps) admission.DropCaps {
	if a.All || b.All {
		return admission.DropCaps{All: true}
	}
	names := slices.Concat(a.Names, b.Names)
	slices.Sort(names)
	return admission.DropCaps{Names: slices.Compact(names)}
}

func bothLimits(a, b admission.Limits) admission.Limits {
	out := admission.Limits{}
	maps.Copy(out, a)
	for name, limit := range b {
		if other, ok := out[name]; ok {
			limit = admission.Limit{Soft: min(limit.Soft, other.Soft), Hard: min(limit.Hard, other.Hard)}
		}
		out[name] = limit
	}
	return out
}
