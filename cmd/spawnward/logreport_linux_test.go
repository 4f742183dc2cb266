package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReportInABrowser makes a page of real launches and opens it in Chromium.
func TestReportInABrowser(t *testing.T) {
	b := newBench(t)
	binary, root := b.backend()
	b.ok("launch", "--binary", binary, "--root", root, "app@1.0.0", "--", "scripted-backend", "good")
	b.ok("stop", "app")
	_, _, status := b.fails("launch", "--binary", "/usr/bin/env", "--root", root, "app@1.0.0")
	require.Equal(t, 3, status)

	page := filepath.Join(b.run, "report.html")
	require.Contains(t, string(b.ok("log", "report", "--html", page)), "2 decisions, 2 shown")
	st, err := os.Stat(page)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), st.Mode().Perm())
	require.Contains(t, string(b.ok("log", "report", "--html", "-", "--outcome", "denied")), "1 decision from")
	_, _, status = b.fails("log", "report")
	require.Equal(t, 2, status)
	_, errs, status := b.fails("log", "report", "--html", filepath.Join(b.run, "missing", "report.html"))
	require.Equal(t, 1, status)
	require.Contains(t, string(errs), "output_failed")

	if _, err := exec.LookPath("chromium"); err != nil {
		t.Skip("chromium is not installed; CI installs it")
	}
	browse := func(page string) (dom, log string) {
		c := exec.Command("chromium",
			"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
			"--disable-component-update", "--disable-sync", "--user-data-dir="+t.TempDir(), "--enable-logging=stderr", "--dump-dom", "file://"+page)
		var out, errs bytes.Buffer
		c.Stdout, c.Stderr = &out, &errs
		require.NoError(t, c.Run(), errs.String())
		return out.String(), errs.String()
	}
	dom, log := browse(page)
	require.Contains(t, dom, `<form id="filter">`, "the script ran and showed the filter")
	require.Contains(t, dom, "2 of 2 shown")
	require.NotContains(t, log, "Content Security Policy")
	require.NotContains(t, log, "CONSOLE")
}
