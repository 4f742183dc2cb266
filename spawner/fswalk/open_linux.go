package fswalk

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Open is openat(2) without creating anything, always close-on-exec. A signal
// that interrupts it, as happens on network file systems, is no error.
func Open(dir int, name string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(dir, name, flags|unix.O_CLOEXEC, 0)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}
