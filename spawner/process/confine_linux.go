package process

import "github.com/spawnward/spawnward/spawner/code"

// confine restricts the calling thread as the caller of Start wants its child.
func (s *Spec) confine() error {
	if s.OnThread == nil {
		return nil
	}
	if err := s.OnThread(); err != nil {
		return &Error{C: code.ConfinementUnavail, Op: "confine the child", Err: err}
	}
	return nil
}
