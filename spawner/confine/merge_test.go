package confine_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/confine"
)

func at(n int) *int { return &n }

// TestMergeIsStricter has the cases of the README's table.
func TestMergeIsStricter(t *testing.T) {
	limits := func(name string, soft, hard uint64) admission.Limits {
		return admission.Limits{name: {Soft: soft, Hard: hard}}
	}
	caps := func(names ...string) admission.DropCaps { return admission.DropCaps{Names: names} }
	for _, c := range []struct {
		name                 string
		policy, service, out admission.Confine
	}{
		{"policy alone", admission.Confine{NoNewPrivs: true}, admission.Confine{}, admission.Confine{NoNewPrivs: true}},
		{"definition alone", admission.Confine{}, admission.Confine{NoNewPrivs: true}, admission.Confine{NoNewPrivs: true}},
		{"umask", admission.Confine{Umask: "0070"}, admission.Confine{Umask: "007"}, admission.Confine{Umask: "0077"}},
		{"umask asks for less", admission.Confine{Umask: "0077"}, admission.Confine{Umask: "022"}, admission.Confine{Umask: "0077"}},
		{"nice", admission.Confine{Nice: at(5)}, admission.Confine{Nice: at(7)}, admission.Confine{Nice: at(7)}},
		{"nice asks for less", admission.Confine{Nice: at(5)}, admission.Confine{Nice: at(-7)}, admission.Confine{Nice: at(5)}},
		{"oom_score_adj", admission.Confine{OOMScoreAdj: at(0)}, admission.Confine{OOMScoreAdj: at(500)}, admission.Confine{OOMScoreAdj: at(500)}},
		{"oom_score_adj asks for less", admission.Confine{OOMScoreAdj: at(0)}, admission.Confine{OOMScoreAdj: at(-500)}, admission.Confine{OOMScoreAdj: at(0)}},
		{"cgroup below", admission.Confine{Cgroup: "a/b"}, admission.Confine{Cgroup: "/a/b/c"}, admission.Confine{Cgroup: "/a/b/c"}},
		{"cgroup above", admission.Confine{Cgroup: "a/b"}, admission.Confine{Cgroup: "a"}, admission.Confine{Cgroup: "a/b"}},
		{"cgroup equal", admission.Confine{Cgroup: "a/b"}, admission.Confine{Cgroup: "a/b"}, admission.Confine{Cgroup: "a/b"}},
		{"capabilities", admission.Confine{DropCaps: caps("CAP_KILL")}, admission.Confine{DropCaps: caps("CAP_BPF", "CAP_KILL")}, admission.Confine{DropCaps: caps("CAP_BPF", "CAP_KILL")}},
		{"all capabilities", admission.Confine{DropCaps: caps("CAP_KILL")}, admission.Confine{DropCaps: admission.DropCaps{All: true}}, admission.Confine{DropCaps: admission.DropCaps{All: true}}},
		{"limits", admission.Confine{Limits: limits("nofile", 100, 1000)}, admission.Confine{Limits: limits("nofile", 200, 500)}, admission.Confine{Limits: limits("nofile", 100, 500)}},
		{"limits ask for less", admission.Confine{Limits: limits("nofile", 100, 100)}, admission.Confine{Limits: limits("nofile", 5000, 5000)}, admission.Confine{Limits: limits("nofile", 100, 100)}},
		{"other limits", admission.Confine{Limits: limits("core", 0, 0)}, admission.Confine{Limits: limits("nofile", 9, 9)},
			admission.Confine{Limits: admission.Limits{"core": {}, "nofile": {Soft: 9, Hard: 9}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := confine.Merge(&c.policy, &c.service)
			require.NoError(t, err)
			if c.out.Limits == nil {
				c.out.Limits = admission.Limits{}
			}
			require.Equal(t, c.out, got)
		})
	}
}

func TestMergeRefusesWhatHasNoOrder(t *testing.T) {
	_, err := confine.Merge(&admission.Confine{Cgroup: "a/b"}, &admission.Confine{Cgroup: "a/bc"})
	require.ErrorContains(t, err, "neither a/b of policy nor below it")
	c, _ := code.Of(err)
	require.Equal(t, code.ConfinementUnavail, c)
	_, err = confine.Merge(&admission.Confine{Umask: "99"}, &admission.Confine{})
	require.ErrorContains(t, err, "is not a mask")
}

// TestMergeLaws: what a definition asks for never loosens what policy asks
// for, whatever the two are.
func TestMergeLaws(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		a, b := random(r), random(r)
		ab, err := confine.Merge(&a, &b)
		if err != nil {
			continue
		}
		ba, err := confine.Merge(&b, &a)
		require.NoError(t, err)
		require.Equal(t, ab.Limits, ba.Limits)
		require.Equal(t, ab.Umask, ba.Umask)
		again, err := confine.Merge(&a, &ab)
		require.NoError(t, err)
		require.Equal(t, ab, again, "a second merge changes nothing")
		require.Subset(t, ab.Keys(), a.Keys())
		for name, limit := range a.Limits {
			require.LessOrEqual(t, ab.Limits[name].Hard, limit.Hard)
			require.LessOrEqual(t, ab.Limits[name].Soft, limit.Soft)
		}
		if a.Nice != nil {
			require.GreaterOrEqual(t, *ab.Nice, *a.Nice)
		}
	}
}

func random(r *rand.Rand) admission.Confine {
	c := admission.Confine{NoNewPrivs: r.IntN(2) == 0, Limits: admission.Limits{}}
	c.Umask = []string{"", "022", "0077", "0007"}[r.IntN(4)]
	c.Cgroup = []string{"", "a", "a/b", "a/c"}[r.IntN(4)]
	if r.IntN(2) == 0 {
		c.Nice = at(r.IntN(40) - 20)
	}
	if r.IntN(2) == 0 {
		c.DropCaps = admission.DropCaps{Names: []string{"CAP_KILL"}}
	}
	for _, name := range []string{"nofile", "core"} {
		if r.IntN(2) == 0 {
			soft := r.Uint64N(1000)
			c.Limits[name] = admission.Limit{Soft: soft, Hard: soft + r.Uint64N(1000)}
		}
	}
	return c
}

func TestPlanListsEverything(t *testing.T) {
	places := confine.Places{Binary: "/srv/app", Interpreter: "/lib64/ld.so", EndpointDir: "/run/e", RunDir: "/state/run/1", Stderr: "/var/log/app"}
	p, err := confine.New(&admission.Confine{Landlock: &admission.Landlock{Read: []string{"/etc/app", "/srv/app"}}},
		&admission.Confine{Landlock: &admission.Landlock{Write: []string{"/var/app"}}}, places)
	require.NoError(t, err)
	require.Len(t, p.Landlock, 2)
	require.Equal(t, "policy", p.Landlock[0].From)
	require.Equal(t, []string{"/etc/app", "/srv/app", "/lib64/ld.so", "/lib", "/lib32", "/lib64", "/libx32", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libx32",
		"/usr/local/lib", "/dev/null", "/state/run/1", "/etc/ld.so.cache"}, p.Landlock[0].Read)
	require.Equal(t, []string{"/dev/null", "/state/run/1", "/run/e", "/var/log/app"}, p.Landlock[0].Write)
	require.NotContains(t, p.Landlock[0].Exec, "/etc/app")
	require.Equal(t, "/var/app", p.Landlock[1].Write[0])
	require.NotContains(t, p.Landlock[1].Read, "/etc/app")

	static, err := confine.New(&admission.Confine{Landlock: &admission.Landlock{}}, &admission.Confine{}, confine.Places{Binary: "/srv/app"})
	require.NoError(t, err)
	require.Equal(t, []string{"/srv/app"}, static.Landlock[0].Exec, "a static program needs no libraries")

	nothing, err := confine.New(&admission.Confine{}, &admission.Confine{}, places)
	require.NoError(t, err)
	require.True(t, nothing.IsZero())
	require.NoError(t, nothing.Check())
}
