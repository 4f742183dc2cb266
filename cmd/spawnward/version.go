package main

import (
	"context"
	"runtime"
	"runtime/debug"

	"github.com/spawnward/spawnward/spawner/fault"
)

func (a *app) version(_ context.Context, args []string) error {
	if len(args) != 0 {
		return usage("version", "it takes no arguments")
	}
	v := struct {
		Version  string `json:"version"`
		Revision string `json:"revision"` // commit, "" when unknown
		Modified bool   `json:"modified"`
		Go       string `json:"go"`
		Platform string `json:"platform"`
		Faults   bool   `json:"faults,omitempty"` // a build for tests, see package fault
	}{Version: versionText(), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Faults: fault.Enabled}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Revision = s.Value
			case "vcs.modified":
				v.Modified = s.Value == "true"
			}
		}
	}
	if a.flags.output == "json" {
		return a.printJSON(v)
	}
	text := "spawnward " + v.Version
	if v.Revision != "" {
		text += " " + v.Revision
	}
	if v.Modified {
		text += " (modified)"
	}
	if v.Faults {
		text += " (with faults: for tests only)"
	}
	return a.printf("%s %s %s\n", text, v.Go, v.Platform)
}
