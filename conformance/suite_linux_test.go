package conformance

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/fault"
)

// built makes the command with the tag faults, once for all tests. Go's own cache
// makes that quick the second time.
var built = sync.OnceValues(func() (string, error) { return build("faults") })

// buildDir is removed when the tests have run.
var buildDir = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "conformance") })

func build(tags string) (string, error) {
	dir, err := buildDir()
	if err != nil {
		return "", err
	}
	out := filepath.Join(dir, "spawnward"+tags)
	cmd := exec.Command("go", "build", "-buildvcs=false", "-tags="+tags, "-o", out, "github.com/spawnward/spawnward/cmd/spawnward")
	cmd.Stderr = os.Stderr
	return out, cmd.Run()
}

func TestMain(m *testing.M) {
	status := m.Run()
	if dir, err := buildDir(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(status)
}

func program(t testing.TB) string {
	t.Helper()
	p, err := built()
	require.NoError(t, err)
	return p
}

func faults() Faults { return Faults{fault.EnvStep, fault.EnvDir, fault.EnvMutant} }

// TestSuite plays every case against the command.
func TestSuite(t *testing.T) {
	cases, err := Load("")
	require.NoError(t, err)
	report, err := Run(t.Context(), cases, Options{Program: program(t), Faults: faults()})
	require.NoError(t, err)
	for _, r := range report.Results {
		t.Run(r.ID, func(t *testing.T) {
			switch r.Outcome {
			case Held:
			case Skipped:
				t.Skip(r.Reason)
			default:
				t.Errorf("%s\n%s\n%s", r.Title, r.File, strings.Join(r.Seen, "\n"))
			}
		})
	}
}

// run plays some cases and returns what became of them, by id.
func runCases(t testing.TB, only string, o Options) map[string]*Result {
	t.Helper()
	cases, err := Load(only)
	require.NoError(t, err)
	require.NotEmpty(t, cases)
	if o.Program == "" {
		o.Program = program(t)
	}
	o.Faults = faults()
	report, err := Run(context.Background(), cases, o)
	require.NoError(t, err)
	out := map[string]*Result{}
	for _, r := range report.Results {
		out[r.ID] = r
	}
	return out
}
