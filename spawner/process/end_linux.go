package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Adopt makes this process inherit the orphans among its descendants
// (PR_SET_CHILD_SUBREAPER), so that a backend which daemonises stays in reach.
// It changes the whole process and is meant for a command that launches one
// backend at a time.
func Adopt() error { return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// Children lists the present children of this process.
func Children() (map[int]bool, error) {
	all, err := withChildren()
	if err != nil {
		return nil, err
	}
	self, kids := os.Getpid(), map[int]bool{}
	for _, st := range all {
		if st.PPID == self {
			kids[st.PID] = true
		}
	}
	return kids, nil
}

// withChildren lists all processes, or none when this process has no children.
// Most callers have none, and the kernel knows that at once.
func withChildren() ([]Stat, error) {
	err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT|unix.WALL, nil)
	if errors.Is(err, unix.ECHILD) {
		return nil, nil
	}
	return All()
}

// Strangers are the processes that were there before a backend was started, with
// their sessions, which no later process can enter but by birth.
type Strangers struct {
	pids     map[int]uint64 // with their start
	sessions map[int]bool
}

// Others lists the strangers of a backend that is about to be started. A process
// without children, which orphans come to only from children that it has later,
// need not look. The first process of a pid namespace gets everybody's orphans.
func Others() (*Strangers, error) {
	list := withChildren
	if os.Getpid() == 1 {
		list = All
	}
	all, err := list()
	if err != nil {
		return nil, err
	}
	s := &Strangers{pids: map[int]uint64{}, sessions: map[int]bool{}}
	for _, st := range all {
		s.pids[st.PID], s.sessions[st.Session] = st.StartTicks, true
	}
	return s, nil
}

func (s *Strangers) has(st Stat) bool {
	start, there := s.pids[st.PID]
	return there && start == st.StartTicks || s.sessions[st.Session]
}

// Family describes what belongs to a started backend.
type Family struct {
	Leader *Process
	// Strangers, when not nil, are those that were there before the backend was
	// started: any other child is the backend's, inherited from it. They can become
	// children of this process meanwhile, when their own parents end.
	Strangers *Strangers
}

// End kills the leader, its process group, its session and the children that
// were inherited from it, waits until all are dead and reaps those that are
// ours. Calling it for ended processes is no error.
//
// A leader that is our child keeps its number until it is reaped here, last of
// all, so that group and session cannot be confused with a stranger's. For
// others' children the members of the session that were seen before the leader
// was killed keep that promise by their own pidfds.
func (f Family) End(ctx context.Context) error {
	members, err := f.members()
	if err != nil {
		return err
	}
	defer func() { letGo(members) }()
	f.Leader.killGroup()
	if err := kill(f.Leader); err != nil {
		return err
	}
	if err := wait(ctx, f.Leader); err != nil {
		return err
	}
	// One look at least: the leader may have had a child between the first look
	// and its death.
	for look := true; look || len(members) > 0; look = false {
		if err := kill(members...); err != nil {
			return err
		}
		// New members are looked for while the old ones are unreaped or their
		// number is otherwise still taken.
		next, err := f.members()
		if err != nil {
			return err
		}
		err = wait(ctx, members...)
		letGo(members)
		members = next
		if err != nil {
			return err
		}
	}
	f.Leader.Reap()
	return nil
}

func kill(all ...*Process) error {
	for _, p := range all {
		if err := p.Signal(unix.SIGKILL); err != nil && !errors.Is(err, ErrGone) {
			return fmt.Errorf("kill process %d: %w", p.pid, err)
		}
	}
	return nil
}

// letGo closes members and reaps those of them that are ours and have ended.
func letGo(members []*Process) {
	for _, m := range members {
		m.Reap()
		_ = m.Close() // a pidfd has nothing to lose
	}
}

func wait(ctx context.Context, all ...*Process) error {
	for _, p := range all {
		select {
		case <-p.Done():
		case <-ctx.Done():
			return fmt.Errorf("process %d was killed but has not ended: %w", p.pid, ctx.Err())
		}
	}
	return nil
}

// members holds the living members of the family except the leader.
func (f Family) members() ([]*Process, error) {
	all, err := All()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	ours, err := f.ownsSession()
	if err != nil {
		return nil, err
	}
	var out []*Process
	for _, st := range all {
		if st.PID == f.Leader.pid || !(ours && st.Session == f.Leader.pid || f.inherited(st)) {
			continue
		}
		p, err := Open(st.PID, st.StartTicks)
		if errors.Is(err, ErrGone) {
			reapOrphan(st)
			continue
		}
		if err != nil {
			letGo(out)
			return nil, err
		}
		p.child = true // or will be, when its parent has ended; the kernel knows at the wait
		out = append(out, p)
	}
	return out, nil
}

// ownsSession reports whether a session with the leader's number is the
// leader's. A number is not given away while a session has it; so when the
// leader no longer holds it and somebody else is found under it, then the
// leader's session is over and that one is a stranger's. It is asked after the
// processes were listed, so that none of a later session is among them.
func (f Family) ownsSession() (bool, error) {
	if f.Leader.holdsNumber() {
		return true, nil
	}
	st, err := ReadStat(f.Leader.pid)
	if errors.Is(err, ErrGone) {
		return true, nil
	}
	return err == nil && st.StartTicks == f.Leader.ticks, err // unreaped by its parent
}

func (f Family) inherited(st Stat) bool {
	return f.Strangers != nil && st.PPID == os.Getpid() && !f.Strangers.has(st)
}

// reapOrphan takes an inherited child that has already ended off the table.
func reapOrphan(st Stat) {
	if st.PPID == os.Getpid() {
		_, _ = unix.Wait4(st.PID, nil, unix.WNOHANG, nil)
	}
}

// Stop asks the leader to end with SIGTERM, waits as long as patience allows,
// and then ends the whole family by force. It reports whether force was needed
// for the leader.
func (f Family) Stop(ctx context.Context, patience time.Duration) (forced bool, err error) {
	members, err := f.members()
	if err != nil {
		return false, err
	}
	defer letGo(members)
	err = f.Leader.Signal(unix.SIGTERM)
	if err != nil && !errors.Is(err, ErrGone) {
		return false, fmt.Errorf("end process %d: %w", f.Leader.pid, err)
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-f.Leader.Done():
	case <-timer.C:
		forced = true
	case <-ctx.Done():
		return false, ctx.Err()
	}
	return forced, f.End(context.WithoutCancel(ctx))
}
