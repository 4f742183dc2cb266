package main

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/spawnward/spawnward/wasm"
)

// update rewrites what tests compare files with.
var _ = flag.Bool("update", false, "rewrite generated files")

func TestMain(m *testing.M) {
	wasm.RunWorker()
	// The test binary plays the command under its own name, and the backends
	// that are copies of it under theirs.
	testscript.Main(m, map[string]func(){"spawnward": main, "backend": main})
}

// TestScripts runs the command as a user does. Each script has a home, a state
// and a runtime directory of its own.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			// A socket's path is short; the test's own directory may not be.
			run, err := os.MkdirTemp("/tmp", "sw")
			if err != nil {
				return err
			}
			e.Defer(func() { _ = os.RemoveAll(run) })
			services := filepath.Join(e.WorkDir, "services")
			if err := os.Mkdir(services, 0o700); err != nil && !os.IsExist(err) {
				return err
			}
			// Files of the archive are made with the directory's usual mode.
			if err := os.Chmod(services, 0o700); err != nil {
				return err
			}
			bin := filepath.Join(e.WorkDir, "opt", "app", "bin")
			if err := os.MkdirAll(bin, 0o755); err != nil {
				return err
			}
			if err := copySelf(filepath.Join(bin, "backend"), ""); err != nil {
				return err
			}
			e.Setenv("BIN", filepath.Join(bin, "backend"))
			e.Setenv("ROOT", filepath.Join(e.WorkDir, "opt", "app"))
			e.Setenv("HOME", e.WorkDir)
			// Scripts that build share the user's cache of compiled packages.
			if cache, err := os.UserCacheDir(); err == nil && os.Getenv("GOCACHE") == "" {
				e.Setenv("GOCACHE", filepath.Join(cache, "go-build"))
			} else {
				e.Setenv("GOCACHE", os.Getenv("GOCACHE"))
			}
			e.Setenv("GOTOOLCHAIN", "local")
			e.Setenv("XDG_STATE_HOME", filepath.Join(e.WorkDir, "state"))
			e.Setenv("XDG_RUNTIME_DIR", run)
			e.Setenv("RUNNING_PROCESS_SERVICE_DEF_DIR", services)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":   exits,
			"nothing": nothing,
		},
	})
}

// exits runs the command and demands an exit status: exits 3 check redis.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	if neg || err != nil {
		ts.Fatalf("usage: exits STATUS ARG...")
	}
	got := 0
	err = ts.Exec("spawnward", args[1:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// nothing demands that no record, run directory, socket or temporary file is
// left.
func nothing(ts *testscript.TestScript, _ bool, _ []string) {
	for _, dir := range []string{ts.Getenv("XDG_STATE_HOME"), ts.Getenv("XDG_RUNTIME_DIR")} {
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if filepath.Ext(path) == ".budget" { // of who failed; it counts for half a minute
				return nil
			}
			if err == nil && filepath.Base(filepath.Dir(path)) != "log" && filepath.Base(filepath.Dir(path)) != "digests" && (!d.IsDir() || filepath.Base(filepath.Dir(path)) == "run") {
				ts.Fatalf("%s is left", path)
			}
			return nil
		})
		ts.Check(err)
	}
}
