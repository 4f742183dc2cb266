package main

import (
	"bytes"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestManualPage formats the page with every warning on.
func TestManualPage(t *testing.T) {
	if _, err := exec.LookPath("groff"); err != nil {
		t.Skip("groff is not installed; CI installs it")
	}
	b := newBench(t)
	c := exec.Command("groff", "-man", "-ww", "-Tutf8", "-P-cbou")
	c.Stdin = bytes.NewReader(b.ok("man-page"))
	var out, warnings bytes.Buffer
	c.Stdout, c.Stderr = &out, &warnings
	require.NoError(t, c.Run(), warnings.String())
	require.Empty(t, warnings.String())
	for _, text := range []string{"NAME", "launch SERVICE[@VERSION] [-- ARG...]", "--ready-timeout", "spawnward service convert redis.yaml --to servicedef", "~/.local/state", "EXIT STATUS"} {
		require.Contains(t, out.String(), text)
	}
	require.NotContains(t, out.String(), "scripted-backend")
}
