package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestREADMENamesCasesThatAreThere holds the table of threats to the suite.
func TestREADMENamesCasesThatAreThere(t *testing.T) {
	data, err := os.ReadFile(readme)
	require.NoError(t, err)
	_, section, found := strings.Cut(string(data), "## Threats\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	cases := regexp.MustCompile("`([A-Za-z]+-[a-z0-9-]+)`").FindAllStringSubmatch(section, -1)
	require.Greater(t, len(cases), 20)
	for _, c := range cases {
		files, err := filepath.Glob("../../conformance/cases/*/" + c[1] + ".yaml")
		require.NoError(t, err)
		require.Len(t, files, 1, c[1])
	}
}
