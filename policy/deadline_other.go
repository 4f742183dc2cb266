//go:build !linux

package policy

import "time"

// threadTime takes the time that has passed for the time that was used.
func threadTime() func() time.Duration {
	begin := time.Now()
	return func() time.Duration { return time.Since(begin) }
}
