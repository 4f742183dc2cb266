//go:build !linux

package main

import (
	"context"
	"runtime"
)

func (a *app) checkKernel(context.Context) []diagnosis {
	return []diagnosis{{"system", doctorFail, runtime.GOOS, "backends can be launched on Linux alone; definitions, policies and hooks can be checked here", "Use Linux 5.9 or later."}}
}
