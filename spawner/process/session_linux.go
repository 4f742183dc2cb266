package process

import (
	"context"
	"errors"
	"fmt"
)

// Survivors lists the living processes of a session whose leader has ended. A
// number is not given away while a session has it: when another process is
// found under the leader's number, then that session is over and there are
// none. After a long time a session of that number may still be a stranger's,
// whose leader has ended too: the caller must know more of each survivor before
// it acts on it.
func Survivors(leader int, startTicks uint64) ([]Stat, error) {
	all, err := All()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	st, err := ReadStat(leader)
	if err != nil && !errors.Is(err, ErrGone) {
		return nil, err
	}
	if err == nil && st.StartTicks != startTicks {
		return nil, nil
	}
	var out []Stat
	for _, st := range all {
		if st.Session == leader && st.PID != leader && st.State != 'Z' && st.StartTicks >= startTicks {
			out = append(out, st)
		}
	}
	return out, nil
}

// Kill ends one process by force, if it is still the one that was seen, and
// waits for its end.
func (st Stat) Kill(ctx context.Context) error {
	p, err := Open(st.PID, st.StartTicks)
	if errors.Is(err, ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	defer p.Close()
	if err := kill(p); err != nil {
		return err
	}
	return wait(ctx, p)
}
