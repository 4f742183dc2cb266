package figures

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/service"
)

// cold is whole commands, from their start to their end, and policy in a process
// that has just begun.
func (b *bench) cold() {
	listed, small := b.siteWithDigests(100_000), b.smallSite()
	again := func() time.Duration {
		b.run(b.spawnward(b.flags("launch")...))
		return b.run(b.spawnward(b.flags("launch")...))
	}
	stop := func() { b.run(b.spawnward("stop", "bench")) }
	samples := []sample{
		b.control(),
		{"`spawnward version`", b.took("version"), nil},
		{"`spawnward check`", b.took(b.flags("check")...), nil},
		{"`spawnward check` with a small site", b.took(b.flags("check", "--policy", small)...), nil},
		{"`spawnward check`, 100 000 digests listed in an index", b.took(b.flags("check", "--policy", b.indexed(listed))...), nil},
		{"`spawnward check`, 100 000 digests listed in JSON", b.took(b.flags("check", "--policy", listed)...), nil},
		{"`spawnward launch` to the verified handle, digest cached", b.took(b.flags("launch")...), stop},
		{"`spawnward launch` that finds a live backend", again, stop},
		{"library ready", b.ready(), nil},
	}
	took := inTurns(*rounds, samples)
	control := median(took["control"])
	var rows [][]string
	for _, s := range samples {
		m := median(took[s.name])
		rows = append(rows, []string{s.name, spell(m), times(float64(m), float64(control))})
	}
	rows[0][0] = "control: a static C program starts and ends"
	b.report.table(table{"Whole commands, cold", []string{"command", "median", "to the control"}, rows[:8],
		fmt.Sprintf("Launches are without settle, by default %s in which a backend with the probe peer must stay alive.", whole(service.DefaultSettle))})
	r := b.report
	r.time("check", median(took[samples[2].name]), control)
	r.time("check-listed", apart(took[samples[4].name], took[samples[2].name]), control)
	r.time("launch", median(took[samples[6].name]), control)
	r.time("ready", median(took[samples[8].name]), control)
	r.time("check-site", apart(took[samples[3].name], took[samples[2].name]), control)
	b.sizes()
}

// sizes is what the command takes of the disk and of the memory.
func (b *bench) sizes() {
	st, err := os.Stat(b.command)
	require.NoError(b.t, err)
	b.report.note("size", float64(st.Size())/(1<<20), 0, "")
	large := b.sized(2 << 30)
	defer os.Remove(large)
	most := b.resident(b.flags("check")...)
	for range few() {
		most = max(most, b.resident(b.flags("launch")...))
		b.run(b.spawnward("stop", "bench"))
	}
	most = max(most, b.resident(b.flags("check", "--binary", large)...))
	b.report.note("memory", most, 0, "")
}

// few is how often something is done that takes long.
func few() int { return max(1, *rounds/8) }

// sized makes a program of that size: the C program with a hole after it, or the
// beginning of it, which is measured and does not run.
func (b *bench) sized(size int64) string {
	content, err := os.ReadFile(b.backend)
	require.NoError(b.t, err)
	if size < int64(len(content)) {
		content = content[:size]
		clear(content[40:48]) // e_shoff, e_shnum and e_shstrndx of elf(5): its sections are gone
		clear(content[60:64])
	}
	file := filepath.Join(filepath.Dir(b.backend), fmt.Sprintf("sized%d", size))
	require.NoError(b.t, os.WriteFile(file, content, 0o755))
	require.NoError(b.t, os.Truncate(file, size))
	return file
}

// siteWithDigests makes a site that lists n digests beside that of the backend.
func (b *bench) siteWithDigests(n int) string {
	allow := map[string]any{}
	for i := range n {
		allow[fmt.Sprintf("%064x", i+1)] = map[string]any{}
	}
	allow[b.digest()] = map[string]any{}
	return b.site(fmt.Sprintf("listed%d", n), map[string]any{
		"digests": map[string]any{"require_listed": true, "allow": allow},
	}, "")
}

// indexed makes the site into a bundle with an index of its digests.
func (b *bench) indexed(site string) string {
	to := site + ".index"
	b.must(b.spawnward("policy", "build", "--index", "--out", to, site))
	return to
}

// smallSite is a site as a team begins with: a little configuration, one rule.
func (b *bench) smallSite() string {
	return b.site("small", map[string]any{"versions": map[string]any{"allow_prerelease": false}}, `package site.data

import rego.v2

# METADATA
# title: A database says who owns it
# custom:
#   code: site_team_label_missing
#   severity: medium
#   remediation: Add labels.team to the definition.
deny contains finding if {
	input.request.service == "database"
	not input.service.labels.team
	finding := {
		"code": "site_team_label_missing",
		"message": "The definition has no label team.",
		"evidence": {"labels": input.service.labels},
	}
}
`)
}

func (b *bench) site(name string, defaults map[string]any, rules string) string {
	dir := filepath.Join(b.dir, "sites", name)
	require.NoError(b.t, os.MkdirAll(filepath.Join(dir, "site", "data"), 0o755))
	data, err := json.Marshal(map[string]any{"config": map[string]any{"defaults": defaults}})
	require.NoError(b.t, err)
	require.NoError(b.t, os.WriteFile(filepath.Join(dir, "data.json"), data, 0o644))
	if rules != "" {
		require.NoError(b.t, os.WriteFile(filepath.Join(dir, "site", "data", "team.rego"), []byte(rules), 0o644))
	}
	return dir
}

// ready is how long a fresh process takes to make policy ready: it runs the
// benchmark of that once.
func (b *bench) ready() func() time.Duration {
	s := suite{"policy", b.testBinary("policy"), pattern([]string{"LoadEmbedded"})}
	return func() time.Duration {
		out := b.must(b.benchmark(s, "1x"))
		return time.Duration(median(benchResults(out)["LoadEmbedded"].ns))
	}
}

// played starts this test binary in a role and reads what it found.
func (b *bench) played(to any, role string, args ...string) {
	b.t.Helper()
	self, err := os.Executable()
	require.NoError(b.t, err)
	c := exec.Command(self, args...)
	c.Env = append(os.Environ(), roleEnv+"="+role)
	var stderr strings.Builder
	c.Stderr = &stderr
	out, err := c.Output()
	require.NoError(b.t, err, "%s: %s", role, stderr.String())
	require.NoError(b.t, json.Unmarshal(out, to), "%s", out)
}
