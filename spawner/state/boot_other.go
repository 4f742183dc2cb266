//go:build !linux

package state

import "time"

// bootTime is not known: nothing is older.
func bootTime() time.Time { return time.Time{} }
