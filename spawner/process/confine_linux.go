package process

import (
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/code"
)

// confine restricts the calling thread as the caller of Start wants its child.
func (s *Spec) confine() error {
	if s.OnThread == nil {
		return nil
	}
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return failed("unshare the umask", err)
	}
	if err := s.OnThread(); err != nil {
		return &Error{C: code.ConfinementUnavail, Op: "confine the child", Err: err}
	}
	return nil
}
