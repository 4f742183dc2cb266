package figures

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func nanoseconds(text string) string {
	ns, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return text
	}
	return micro(time.Duration(ns))
}

func TestBenchRows(t *testing.T) {
	rows := benchRows("goos: linux\npkg: example.org/spawnward/policy\nBenchmarkDecide/allow-2   \t 2280\t    578158 ns/op\t   95172 B/op\t    1986 allocs/op\nPASS\n")
	require.Equal(t, [][]string{{"policy", "Decide/allow", "578.2 µs", "95172 B/op", "1986"}}, rows)
}
