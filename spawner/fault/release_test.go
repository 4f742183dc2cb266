//go:build !faults && linux

package fault_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The command as it is released has neither the switches nor the code behind
// them, and the build for tests has both.
func TestReleaseHasNoFaults(t *testing.T) {
	marks := []string{"SPAWNWARD_FAULT_STEP", "SPAWNWARD_FAULT_DIR", "spawner/fault.take", "spawner/fault.kill", "fault_on.go"}
	for tags, want := range map[string]bool{"": false, "faults": true} {
		out := filepath.Join(t.TempDir(), "spawnward")
		build := exec.Command("go", "build", "-tags", tags, "-o", out, "github.com/spawnward/spawnward/cmd/spawnward")
		said, err := build.CombinedOutput()
		require.NoError(t, err, "%s", said)
		program, err := os.ReadFile(out)
		require.NoError(t, err)
		for _, mark := range marks {
			require.Equal(t, want, bytes.Contains(program, []byte(mark)), "%s with tags %q", mark, tags)
		}
	}
}
