package figures

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBenchResults(t *testing.T) {
	found := benchResults("goos: linux\nBenchmarkDecide/allow-2   \t 2280\t    578158 ns/op\t   95172 B/op\t    1986 allocs/op\nBenchmarkSHA256\t  5\t 46076035 ns/op\t1456.48 MB/s\t 1 B/op\t 2 allocs/op\n" +
		"BenchmarkFirst\t  5\t 460 ns/op\t77.5 first-ns/op\t 1 B/op\nPASS\n")
	require.Equal(t, map[string]taken{
		"Decide/allow": {ns: []float64{578158}, bytes: []float64{95172}, allocs: []float64{1986}},
		"First":        {ns: []float64{77.5}, bytes: []float64{1}, elsewhere: true},
		"SHA256":       {ns: []float64{46076035}, bytes: []float64{1}, allocs: []float64{2}, mbs: []float64{1456.48}},
	}, found)
}

// The rows are named by hand; what they name is there.
func TestStagesAreBenchmarks(t *testing.T) {
	for _, s := range stages() {
		top, _, _ := strings.Cut(s.name, "/")
		found := false
		files, err := filepath.Glob(filepath.Join(module, s.pkg, "*_test.go"))
		require.NoError(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			found = found || strings.Contains(string(text), "\nfunc Benchmark"+top+"(")
		}
		require.True(t, found, "%s has no Benchmark%s", s.pkg, top)
	}
}

func TestPattern(t *testing.T) {
	require.Equal(t, "^Benchmark(A)$", pattern([]string{"A"}))
	require.Equal(t, "^Benchmark(A)$/^(x|y)$/^(1|2)$", pattern([]string{"A/x/1", "A/y/1", "A/y/2"}))
}
