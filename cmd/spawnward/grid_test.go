package main

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestGrid(t *testing.T) {
	g := grid{
		head: []string{"SERVICE", "STATE", "ENDPOINT", "WHY"},
		rows: [][]cell{
			{{"redis", noPaint}, {"live", goodNews}, {"/run/user/1000/running-process/broker/a.sock", faint}, {"", noPaint}},
			{{"söme", noPaint}, {"stale", attend}, {"-", noPaint}, {"process 12 has ended\x1b[31m since", noPaint}},
		},
		cut: []int{2, 3},
	}
	whole := g.text(0, false)
	require.Contains(t, whole, "broker/a.sock")
	require.Contains(t, whole, `ended\x1b[31m since`)
	require.NotContains(t, whole, "\x1b")
	lines := strings.Split(strings.TrimSuffix(whole, "\n"), "\n")
	require.Equal(t, strings.Index(lines[0], "STATE"), strings.Index(lines[1], "live"))

	narrow := strings.Split(strings.TrimSuffix(g.text(60, false), "\n"), "\n")
	require.Len(t, narrow, 3)
	for _, line := range narrow {
		require.LessOrEqual(t, utf8.RuneCountInString(line), 60)
	}
	require.Contains(t, narrow[1], "…")

	coloured := g.text(60, true)
	require.Contains(t, coloured, "\x1b[32mlive\x1b[0m")
	require.Contains(t, g.text(10, false), "redis", "what cannot be cut stays")
}

func TestAgo(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 900 * time.Millisecond: "0s", 59 * time.Second: "59s", 61 * time.Second: "1m1s",
		3*time.Hour + 4*time.Minute: "3h4m", 50 * time.Hour: "2d2h",
	} {
		require.Equal(t, want, ago(d), d)
	}
}

func TestBrushPaintsOnlyTerminals(t *testing.T) {
	var out strings.Builder
	a := newApp(nil, &out, &out)
	require.Equal(t, "denied", a.brush(&out)(badNews, "denied"))
	require.Equal(t, "\x1b[31mdenied\x1b[0m", painted(badNews, "denied"))
	require.Empty(t, painted(badNews, ""))
	require.NoError(t, a.headed(badNews, [][2]string{{"denied", "app@1.0.0"}, {"  binary", "/b"}}))
	require.Equal(t, "denied    app@1.0.0\n  binary  /b\n", out.String())
}
