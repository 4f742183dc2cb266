package figures

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

// module is where this package's module begins.
const module = "../../.."

// stage is one benchmark that stands beside the code, in a reader's words.
type stage struct {
	pkg, name string
	what      string
}

// stages are the rows of the table, in the order of a launch.
func stages() []stage {
	return []stage{
		{"spawner/service", "Load/of-1", "resolve: read and check a definition"},
		{"spawner/service", "Load/of-1000", "… one of 1 000 in the directory"},
		{"spawner", "Step/resolve", "resolve: an endpoint, the environment, the arguments"},
		{"spawner/measure", "Measure/hashed/1KiB", "measure: walk, facts and digest of 1 KiB"},
		{"spawner/measure", "Measure/hashed/1024KiB", "… of 1 MiB"},
		{"spawner/measure", "Measure/hashed/65536KiB", "… of 64 MiB"},
		{"spawner/measure", "Measure/cached/65536KiB", "… of 64 MiB, digest cached"},
		{"policy", "LoadEmbedded", "policy: make the library ready"},
		{"policy", "LoadExample", "… with the site that teams begin with"},
		{"policy", "LoadListed/data/0", "… with a site that lists one digest"},
		{"policy", "LoadListed/index/100000", "… with one that lists 100 000 in an index"},
		{"policy", "LoadListed/data/100000", "… in JSON"},
		{"policy", "BuildInput", "decide: build the input"},
		{"policy", "DecideAllow", "decide: input and decision, allow"},
		{"policy", "DecideAllowSite", "… allow, with a small site"},
		{"policy", "DecideDenyOne", "… deny, one finding"},
		{"policy", "DecideDenyTwo", "… deny, two findings"},
		{"policy", "DecideDenyEight", "… deny, eight findings"},
		{"policy", "DecideFirst/allow", "… the first decision of a process, allow"},
		{"policy", "DecideFirst/deny", "… the first decision of a process, deny"},
		{"policy", "DecideListed/index/100/other", "… allow, 100 digests listed in an index"},
		{"policy", "DecideListed/index/100000/other", "… 100 000"},
		{"policy", "DecideListed/data/100/other", "… allow, 100 digests listed in JSON"},
		{"policy", "DecideListed/data/100000/other", "… 100 000"},
		{"spawner", "Step/queue", "queue: the turn at the backend"},
		{"spawner", "Step/reuse", "reuse: look for a live one"},
		{"spawner", "Step/shape", "shape: without a hook"},
		{"wasm", "Run/interpreter", "shape: one small hook, its process included"},
		{"wasm", "Run/compiler", "… compiled"},
		{"spawner/decisionlog", "Decision/open", "log: one line, synced"},
		{"spawner/decisionlog", "Decision/after_0_MiB", "… the log opened anew"},
		{"spawner/decisionlog", "Decision/after_63_MiB", "… after 63 MiB"},
		{"spawner/state", "Store/note/beside-0", "intend: one record, not synced"},
		{"spawner/state", "Store/note/beside-1000", "… beside 1 000 others"},
		{"spawner", "Step/intend", "intend: the record, the run directory"},
		{"spawner", "Step/spawn", "spawn: up to the stop at exec, and its record"},
		{"spawner", "Step/verify", "verify: compare the image, release"},
		{"spawner/probe", "Probe/peer", "probe: who listens"},
		{"spawner/probe", "Probe/identity", "probe: who it says it is"},
		{"spawner", "Step/probe", "probe: until the backend listens"},
		{"spawner", "Step/record", "record: one record, synced"},
	}
}

// taken is what one benchmark took: the median of some runs of it, each a mean.
type taken struct {
	ns, bytes, allocs, mbs, user []float64
	elsewhere                    bool // what it allocates is not seen
}

// stages runs the benchmarks that stand beside the code, one package after the
// other, again and again, so that no row depends on one moment. The garbage collector hardly
// runs, as in the command, which ends before it would.
func (b *bench) stages() {
	suites := b.suites()
	took := map[string]*taken{}
	var control, openssl []float64
	for range few() {
		for _, d := range inTurns(10, []sample{b.control()})["control"] {
			control = append(control, float64(d))
		}
		for _, s := range suites {
			b.results(s, took)
		}
		openssl = append(openssl, b.openssl())
	}
	c := median(control)
	var rows [][]string
	for _, s := range stages() {
		t := took[s.pkg+" "+s.name]
		if t == nil {
			b.t.Errorf("there is no benchmark %s in %s for the row %q", s.name, s.pkg, s.what)
			continue
		}
		bytes, allocs := "–", "–"
		if !t.elsewhere {
			bytes, allocs = fmt.Sprintf("%.1f KiB", median(t.bytes)/1024), fmt.Sprintf("%.0f", median(t.allocs))
		}
		rows = append(rows, []string{s.what, spell(time.Duration(median(t.ns))), times(median(t.ns), c), bytes, allocs})
	}
	b.report.table(table{"Each stage, by the benchmark beside its code", []string{"stage", "median", "to the control", "memory", "allocations"}, rows,
		"Steps of a launch are of launches that take place, with policy in a few lines of Go.\nThe garbage collector hardly runs, as in the command."})
	b.stageBars(took, c, median(openssl))
}

func (b *bench) stageBars(took map[string]*taken, control, openssl float64) {
	policy := func(name string) float64 {
		if t := took["policy "+name]; t != nil {
			return median(t.ns)
		}
		return 0
	}
	input := policy("BuildInput")
	for id, name := range map[string]string{
		"allow": "DecideAllow", "allow-site": "DecideAllowSite",
		"deny-1": "DecideDenyOne", "deny-2": "DecideDenyTwo", "deny-8": "DecideDenyEight",
	} {
		if ns := policy(name); ns > 0 {
			b.report.note(id, ns-input, control, "")
		}
	}
	for _, form := range []string{"index", "data"} {
		few, many := policy("DecideListed/"+form+"/100/other"), policy("DecideListed/"+form+"/100000/other")
		if few > 0 && many > 0 {
			b.report.note("listed-"+form, many/few, 0, "100: "+spell(time.Duration(few)))
		}
	}
	if t := took["spawner/measure SHA256/65536KiB"]; t != nil {
		b.report.note("hash", median(t.user)*1e6/openssl, 0, fmt.Sprintf(
			"openssl %.2f GB/s; with the kernel's copying, by the clock on the wall: %.2f of it", openssl/1e9, median(t.mbs)*1e6/openssl))
	}
}

// suite is one benchmark function with those of its parts that are wanted.
type suite struct {
	pkg, path, pattern string
}

// suites builds the test binaries of all packages that have a stage. Each
// benchmark function runs in a process of its own.
func (b *bench) suites() []suite {
	var out []suite
	wanted := map[string][]string{}
	paths := map[string]string{}
	for _, s := range append(stages(), stage{"spawner/measure", "SHA256/65536KiB", ""}) {
		if paths[s.pkg] == "" {
			paths[s.pkg] = b.testBinary(s.pkg)
		}
		top, _, _ := strings.Cut(s.name, "/")
		key := s.pkg + " " + top
		if wanted[key] == nil {
			out = append(out, suite{pkg: s.pkg, path: paths[s.pkg], pattern: key})
		}
		wanted[key] = append(wanted[key], s.name)
	}
	for i := range out {
		out[i].pattern = pattern(wanted[out[i].pattern])
	}
	return out
}

// pattern matches benchmarks by the parts of their names, level by level.
func pattern(names []string) string {
	var levels [][]string
	for _, name := range names {
		for i, part := range strings.Split(name, "/") {
			if i == len(levels) {
				levels = append(levels, nil)
			}
			if !slices.Contains(levels[i], part) {
				levels[i] = append(levels[i], part)
			}
		}
	}
	var out []string
	for i, parts := range levels {
		prefix := ""
		if i == 0 {
			prefix = "Benchmark"
		}
		out = append(out, "^"+prefix+"("+strings.Join(parts, "|")+")$")
	}
	return strings.Join(out, "/")
}

// testBinary builds the test binary of a package.
func (b *bench) testBinary(pkg string) string {
	path := filepath.Join(b.dir, strings.ReplaceAll(pkg, "/", "-")+".test")
	c := exec.Command("go", "test", "-c", "-o", path, "./"+pkg)
	c.Dir = module
	b.must(c)
	return path
}

// benchmark is a run of benchmarks.
func (b *bench) benchmark(s suite, time string) *exec.Cmd {
	c := exec.Command(s.path, "-test.run=^$", "-test.bench="+s.pattern, "-test.benchtime="+time, "-test.benchmem", "-test.timeout=5m")
	c.Dir = filepath.Join(module, s.pkg)
	c.Env = append(c.Environ(), "GOGC=off", "GOMEMLIMIT=128MiB")
	return c
}

// results runs a suite and keeps what its benchmarks took.
func (b *bench) results(s suite, took map[string]*taken) {
	for name, t := range benchResults(b.must(b.benchmark(s, "200ms"))) {
		key := s.pkg + " " + name
		if took[key] == nil {
			took[key] = &taken{}
		}
		all := took[key]
		all.ns, all.bytes = append(all.ns, t.ns...), append(all.bytes, t.bytes...)
		all.allocs, all.mbs = append(all.allocs, t.allocs...), append(all.mbs, t.mbs...)
		all.user, all.elsewhere = append(all.user, t.user...), t.elsewhere
	}
}

// benchResults reads what a test binary prints of benchmarks.
func benchResults(out string) map[string]taken {
	line := regexp.MustCompile(`^Benchmark(\S+?)(?:-\d+)?\s+\d+\s(.*)$`)
	found := map[string]taken{}
	for text := range strings.Lines(out) {
		m := line.FindStringSubmatch(strings.TrimSpace(text))
		if m == nil {
			continue
		}
		var t taken
		fields := strings.Fields(m[2])
		for i := 0; i+1 < len(fields); i += 2 {
			v, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				continue
			}
			switch fields[i+1] {
			case "ns/op":
				t.ns = append(t.ns, v)
			case "first-ns/op": // of a process that the benchmark starts
				t.ns, t.elsewhere = []float64{v}, true
			case "B/op":
				t.bytes = append(t.bytes, v)
			case "allocs/op":
				t.allocs = append(t.allocs, v)
			case "MB/s":
				t.mbs = append(t.mbs, v)
			case "user-MB/s":
				t.user = append(t.user, v)
			}
		}
		found[m[1]] = t
	}
	return found
}

// openssl is how fast openssl hashes what stays in the processor's cache, in
// bytes a second of the processor's time in user mode.
func (b *bench) openssl() float64 {
	out := b.must(exec.Command("openssl", "speed", "-mr", "-seconds", "1", "-evp", "sha256", "-bytes", "16384"))
	// The last line is +F:…:sha256:BYTES.
	at := strings.LastIndexByte(strings.TrimSpace(out), ':')
	speed, err := strconv.ParseFloat(strings.TrimSpace(out)[at+1:], 64)
	require.NoError(b.t, err, "%s", out)
	return speed
}
