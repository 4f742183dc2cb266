package state

import (
	"time"

	"golang.org/x/sys/unix"
)

// bootTime is when the machine was started, by its clock of now.
func bootTime() time.Time {
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		return time.Time{} // nothing is older
	}
	return time.Now().Add(-time.Duration(up.Nano()))
}
