package figures

import (
	"bufio"
	"os/exec"
	"regexp"
	"strings"

	"github.com/stretchr/testify/require"
)

// stages runs the benchmarks that stand beside the code.
func (b *bench) stages() {
	c := exec.Command("go", "test", "-run", "^$", "-bench", ".", "-benchmem", "./spawner/...", "./policy", "./wasm")
	c.Dir = "../../.."
	out, err := c.CombinedOutput()
	require.NoError(b.t, err, "%s", out)
	rows := benchRows(string(out))
	require.NotEmpty(b.t, rows)
	table("Stages", []string{"package", "benchmark", "time", "memory", "allocations"}, rows)
}

// benchRows reads what go test prints of benchmarks.
func benchRows(out string) [][]string {
	line := regexp.MustCompile(`^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+([\d.]+) ns/op(.*)$`)
	var rows [][]string
	pkg := ""
	for s := bufio.NewScanner(strings.NewReader(out)); s.Scan(); {
		if p, ok := strings.CutPrefix(s.Text(), "pkg: "); ok {
			pkg = p[strings.Index(p, "/spawnward/")+len("/spawnward/"):]
		}
		m := line.FindStringSubmatch(s.Text())
		if m == nil {
			continue
		}
		bytes, allocs := "", ""
		for field := range strings.SplitSeq(m[3], "\t") {
			switch {
			case strings.HasSuffix(field, " B/op"):
				bytes = strings.TrimSpace(field)
			case strings.HasSuffix(field, " allocs/op"):
				allocs = strings.TrimSuffix(strings.TrimSpace(field), " allocs/op")
			}
		}
		rows = append(rows, []string{pkg, m[1], nanoseconds(m[2]), bytes, allocs})
	}
	return rows
}
