package spawner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/endpoint"
	"github.com/spawnward/spawnward/spawner/measure"
	"github.com/spawnward/spawnward/spawner/probe"
	"github.com/spawnward/spawnward/spawner/process"
	"github.com/spawnward/spawnward/spawner/state"
)

// examine verifies a record against the running system. The process is given,
// for the caller to close, when it is alive and certainly the recorded one.
func (l *Local) examine(ctx context.Context, r *state.Record) (Status, *process.Process) {
	s, p := look(r, false)
	return l.prove(ctx, s, p, 0)
}

func (s *Status) set(c Condition, k code.Code, format string, args ...any) {
	s.State, s.Code, s.Why = c, k, fmt.Sprintf(format, args...)
}

// look finds the process that a record names, without asking it anything. With
// a state the matter is settled; without one the process is given and [Local.prove]
// goes on. A launch of this process that holds the backend's turn knows that no
// other launch of this process is under way (over).
func look(r *state.Record, over bool) (Status, *process.Process) {
	s := recorded(r)
	if s.place(); s.State != "" {
		return s, nil
	}
	if r.Phase != state.Ready && launcherAlive(r) && !(over && r.Launcher.PID == os.Getpid()) {
		s.set(Starting, code.InProgress, "its launcher, process %d, is still at work", r.Launcher.PID)
		return s, nil
	}
	if r.Phase == state.Intent {
		p, err := unrecorded(r)
		switch {
		case err != nil:
			s.set(Unknown, code.IdentityMismatch, "%v", err)
		case p != nil:
			s.set(Unresponsive, code.BackendUnresponsive, "its launcher was ended before it could verify process %d", p.PID())
		default:
			s.set(Stale, code.IdentityMismatch, "its launcher ended, and no process runs its file with its endpoint")
		}
		return s, p
	}
	p, err := process.Open(r.Identity.PID, r.StartTicks)
	if errors.Is(err, process.ErrGone) {
		s.set(Stale, code.IdentityMismatch, "%v", err)
	} else if err != nil {
		s.set(Unknown, code.IdentityMismatch, "%v", err)
	}
	return s, p
}

// prove holds the process against its record, inode and digest of its image,
// and then asks it. One that does not answer yet is asked again as long as
// patience allows.
func (l *Local) prove(ctx context.Context, s Status, p *process.Process, patience time.Duration) (Status, *process.Process) {
	if p == nil || s.State != "" {
		return s, p
	}
	r := s.rec
	t, imageErr := l.recordedImage(ctx, r)
	err := imageErr
	if err == nil {
		defer t.Close()
		if r.Phase == state.Starting {
			err = errors.New("its launcher ended before it was ready")
		} else {
			err = l.askAgain(ctx, p, t, r, patience)
		}
		if err == nil && p.Alive() {
			s.set(Live, "", "")
			return s, p
		}
	}
	switch {
	case !p.Alive():
		s.set(Stale, code.IdentityMismatch, "the process ended while it was looked at")
	case errors.Is(err, probe.ErrNotYet):
		s.set(Unresponsive, code.BackendUnresponsive, "%v", err)
		return s, p
	case imageErr == nil:
		// The process is certainly ours; it is its endpoint that is not.
		s.set(Unresponsive, codeOr(err, code.BackendUnresponsive), "%v", err)
		return s, p
	default:
		s.set(Unknown, codeOr(err, code.IdentityMismatch), "%v", err)
	}
	if err := p.Close(); err != nil {
		s.Why += "; " + err.Error()
	}
	return s, nil
}

func (l *Local) askAgain(ctx context.Context, p *process.Process, t *measure.Target, r *state.Record, patience time.Duration) error {
	enough := time.NewTimer(patience)
	defer enough.Stop()
	for pause := firstPause; ; pause = min(pause*3/2, lastPause) {
		err := l.attemptProbe(ctx, p, t, r.Probe, r.Identity, admission.Trace{})
		if patience == 0 || !errors.Is(err, probe.ErrNotYet) {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
			continue
		case <-p.Done():
		case <-enough.C:
		case <-ctx.Done():
		}
		timer.Stop()
		return err
	}
}

// place tells records of another machine, boot or pid namespace, whose process
// cannot be looked at from here: their state is set.
func (s *Status) place() {
	r := s.rec
	machine, _ := endpoint.MachineID()
	boot, err := endpoint.BootID()
	if err != nil {
		s.set(Unknown, code.IdentityMismatch, "%v", err)
		return
	}
	ns, err := pidNamespace()
	switch {
	case machine != r.MachineID:
		s.elsewhere = true
		s.set(Unknown, code.IdentityMismatch, "it was recorded on another machine")
	case boot != r.BootID && machine == "":
		s.elsewhere = true
		s.set(Unknown, code.IdentityMismatch, "it was recorded in another boot or on another machine, which have no ids to tell")
	case boot != r.BootID:
		s.past = true
		s.set(Stale, code.IdentityMismatch, "the machine was started anew since")
	case err != nil:
		s.set(Unknown, code.IdentityMismatch, "%v", err)
	case ns != r.PIDNamespace:
		s.elsewhere = true
		s.set(Unknown, code.IdentityMismatch, "it was recorded in another pid namespace")
	}
}

// launcherAlive takes a launcher that cannot be looked at for alive.
func launcherAlive(r *state.Record) bool {
	st, err := process.ReadStat(r.Launcher.PID)
	if err != nil {
		return !errors.Is(err, process.ErrGone)
	}
	return st.StartTicks == r.Launcher.StartTicks && st.State != 'Z'
}

// recordedImage opens the running image of a recorded process and compares it
// with the record: inode and digest.
func (l *Local) recordedImage(ctx context.Context, r *state.Record) (*measure.Target, error) {
	mismatch := func(err error) error {
		return &IdentityError{C: code.IdentityMismatch, PID: r.Identity.PID, Err: err}
	}
	f, err := os.Open(fmt.Sprintf("/proc/%d/exe", r.Identity.PID))
	if err != nil {
		return nil, mismatch(err)
	}
	st, err := f.Stat()
	if err == nil {
		err = sameInode(st, r.Binary)
	}
	if err != nil {
		return nil, mismatch(errors.Join(err, f.Close()))
	}
	cache := l.digests(l.existingState)
	t, err := measure.Image(ctx, f, cache, l.ids())
	if sum := t.Binary.SHA256; err == nil && sum != r.Binary.SHA256 {
		err = fmt.Errorf("its image has digest %s, and %s was recorded", sum, r.Binary.SHA256)
	}
	if cache != nil {
		_ = cache.Close()
	}
	if err != nil {
		return nil, mismatch(errors.Join(err, t.Close()))
	}
	return t, nil
}
