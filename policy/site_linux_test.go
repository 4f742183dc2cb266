package policy

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/code"
)

// Opening a pipe that nobody writes would never end.
func TestPipeInASite(t *testing.T) {
	dir := writeSite(t, files{"site/net/net.rego": netRules})
	require.NoError(t, unix.Mkfifo(filepath.Join(dir, "data.yaml"), 0o600))
	_, err := Load(context.Background(), Options{Path: dir, Deadline: patience})
	got, _ := code.Of(err)
	require.Equal(t, code.PolicyInvalid, got, "%v", err)
	require.ErrorContains(t, err, "not a regular file")
}
