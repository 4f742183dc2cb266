//go:build !faults

package fault_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/fault"
)

// A build without the tag must do nothing, whatever the environment says.
func TestNothingHappensWithoutTheTag(t *testing.T) {
	t.Setenv(fault.EnvStep, "resolve:kill,nonsense:nonsense")
	t.Setenv(fault.EnvMutant, "any")
	fault.At("resolve")
	require.False(t, fault.Enabled)
	require.False(t, fault.Mutant("any"))
}
