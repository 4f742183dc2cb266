package conformance

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLauncher judges a launcher that starts what it is told and checks nothing.
func TestLauncher(t *testing.T) {
	naive := filepath.Join(t.TempDir(), "naive")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", naive, "./internal/naive")
	build.Stderr = os.Stderr
	require.NoError(t, build.Run())
	want := map[string]Outcome{
		"O-01-request-names-backend": Held,
		"O-04-private-namespace":     Held,
		"O-04-shared-namespace":      Failed, // it knows no isolation
		"O-06-sibling-prefix":        Failed, // it starts what is outside
		"O-09-clean-environment":     Failed, // it hands its own environment on
		"O-11-good":                  Failed, // it keeps no record, and believes without asking
		"O-14-below-minimum":         Failed,
		"O-14-not-listed":            Failed,
		"O-13-probe-verifies":        Skipped, // it knows no probe
		"O-16-unknown-flag":          Skipped, // that is about the command
		"X-02-killed-in-the-stop":    Skipped, // nobody steps into it
		"W-03-wrong-nonce":           Failed,  // it asks nothing
		"digest-denied":              Skipped, // it knows no check
	}
	cases, err := Load("")
	require.NoError(t, err)
	var some []*Case
	for _, c := range cases {
		if _, ok := want[c.ID]; ok {
			some = append(some, c)
		}
	}
	require.Len(t, some, len(want))
	report, err := Run(t.Context(), some, Options{Program: program(t), Launcher: []string{naive}, Faults: faults()})
	require.NoError(t, err)
	require.False(t, report.OK)
	for _, r := range report.Results {
		require.Equal(t, want[r.ID], r.Outcome, "%s: %s %q", r.ID, r.Reason, r.Seen)
		if r.Outcome == Skipped {
			require.NotEmpty(t, r.Reason)
		}
	}
}

// An answer that is none fails the case with words that help.
func TestLauncherThatBabbles(t *testing.T) {
	for script, want := range map[string]string{
		`echo hello`:                                               "schema/answer.json",
		`echo '{"protocol":2,"result":{}}'`:                        "version 2",
		`echo '{"protocol":1}'`:                                    "neither result nor unsupported",
		`echo '{"protocol":1,"result":{},"more":1}'`:               "schema/answer.json",
		`echo '{"protocol":1,"result":{}}{}'`:                      "more than one answer",
		`echo oops >&2; exit 3`:                                    "status 3",
		`cat >/dev/null; echo '{"protocol":1,"unsupported":"no"}'`: "does not support it: no",
		`echo '{"protocol":1,"result":{"outcome":"launched"}}'`:    "backends started: 0, not 1",
	} {
		cases, err := Load("O-11-good")
		require.NoError(t, err)
		report, err := Run(t.Context(), cases, Options{Program: program(t), Launcher: []string{"/bin/sh", "-c", script}})
		require.NoError(t, err)
		r := report.Results[0]
		require.NotEqual(t, Held, r.Outcome)
		require.Contains(t, r.Reason+" "+joined(r.Seen), want)
	}
}

func joined(list []string) string {
	all := ""
	for _, s := range list {
		all += s + "\n"
	}
	return all
}
