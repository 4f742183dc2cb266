//go:build !linux || !(amd64 || arm64)

package wasm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
)

// RunWorker returns a worker with which every run fails: hooks are never run in
// the caller's own process.
func RunWorker() Worker {
	exe, _ := os.Executable() // nothing starts it
	return Worker{path: exe}
}

func inWorker(context.Context, string, job, *limit) (answer, error) {
	return answer{}, fmt.Errorf("workers for hooks on %s/%s: %w", runtime.GOOS, runtime.GOARCH, errors.ErrUnsupported)
}
