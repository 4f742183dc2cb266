//go:build !linux

package scripted

import (
	"context"
	"fmt"
	"runtime"
)

// Run is there on Linux only.
func Run(ctx context.Context, args []string, stdio Stdio) int {
	if _, err := parse(args); err != nil {
		fmt.Fprintln(stdio.Err, "scripted backend:", err)
		return statusUsage
	}
	fmt.Fprintln(stdio.Err, "scripted backend: not supported on", runtime.GOOS)
	return statusFailed
}
