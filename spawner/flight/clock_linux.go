package flight

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// sinceBoot reads the boot-time clock.
func sinceBoot() (time.Duration, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0, fmt.Errorf("read the boot-time clock: %w", err)
	}
	return time.Duration(ts.Nano()), nil
}
