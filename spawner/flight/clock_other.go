//go:build !linux

package flight

import (
	"errors"
	"fmt"
	"runtime"
	"time"
)

func sinceBoot() (time.Duration, error) {
	return 0, fmt.Errorf("the boot-time clock on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
