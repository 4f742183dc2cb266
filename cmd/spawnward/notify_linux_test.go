package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner"
)

// TestNotifyFromFlags launches a backend without an endpoint and looks at it in
// every way.
func TestNotifyFromFlags(t *testing.T) {
	b := newBench(t)
	binary, root := b.backend()
	launch := []string{"launch", "--probe", "notify", "--binary", binary, "--root", root, "app@1.0.0"}
	shown := string(b.ok(append(launch, "--", "scripted-backend", "notify")...))
	require.Contains(t, shown, `"serving"`)
	again := b.ok(append(launch, "-o", "json", "--", "scripted-backend", "notify")...)
	matches(t, "launch", again)
	var r spawner.Report
	require.NoError(t, json.Unmarshal(again, &r))
	require.Equal(t, spawner.Reused, r.Outcome)
	require.Empty(t, r.Identity.Endpoint.Path)
	matches(t, "ps", b.ok("ps", "-o", "json"))
	matches(t, "probe", b.ok("probe", "-o", "json", "app"))
	records, err := filepath.Glob(filepath.Join(b.state, "spawnward", "*", "backends", "*.json"))
	require.NoError(t, err)
	require.Len(t, records, 1)
	record, err := os.ReadFile(records[0])
	require.NoError(t, err)
	matches(t, "record", record)
	b.ok("stop", "app")
	b.empty()
	failed, err := b.cmd(append(launch, "-o", "json", "--", "scripted-backend", "notify-errno:98")...).Output()
	require.Equal(t, 7, status(err))
	matches(t, "launch", failed)
	require.Contains(t, string(failed), `"backend_failed"`)
	b.empty()
}
