package spawner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/fault"
	"github.com/spawnward/spawnward/spawner/flight"
	"github.com/spawnward/spawnward/spawner/state"
)

// Pauses of a launch that waits for another one grow from the first to the last
// of these. Each look costs some ten microseconds, so that a hundred who wait
// cost nothing that counts; and unlike a thread that sleeps in the kernel for
// the lock, who looks can be called off, and sees at once the backend that all
// of them wait for.
const (
	firstLook = time.Millisecond
	lastLook  = 50 * time.Millisecond
)

// queue waits until this launch is the only one that is at work on its backend,
// or until the backend is there.
func (a *attempt) queue(ctx context.Context) error {
	var err error
	if a.store == nil {
		if a.store, err = a.l.openState(); err != nil {
			return err
		}
	}
	a.l.remember(a.target)
	if a.obligations, err = a.obligationsDigest(); err != nil {
		return err
	}
	if a.field, err = a.l.openField(a.store); err != nil {
		return err
	}
	enough := time.NewTimer(a.wait())
	defer enough.Stop()
	for pause := firstLook; ; pause = min(pause*3/2, lastLook) {
		if err := a.discover(ctx); err != nil || a.found != nil {
			return err
		}
		turn, err := a.field.Try(flight.Key{Instance: a.instance, Service: a.req.Service, Version: a.req.Version}, a.atMost())
		if err == nil {
			a.turn = turn
			return nil
		}
		var busy *flight.Busy
		if !errors.As(err, &busy) {
			return err
		}
		if a.req.NoWait {
			return inProgress(busy)
		}
		if !a.waited {
			// Writers need not wait for as long as this launch does.
			a.target.Unlock()
			a.waited = true
		}
		look := time.NewTimer(pause)
		select {
		case <-look.C:
		case <-enough.C:
			look.Stop()
			return inProgress(busy)
		case <-ctx.Done():
			look.Stop()
			return canceled(Queue, ctx.Err())
		}
	}
}

func (l *Local) openField(store *state.Store) (*flight.Field, error) {
	me, err := l.self()
	if err != nil {
		return nil, err
	}
	dir, err := store.Private("flight")
	if err != nil {
		return nil, err
	}
	return flight.Open(dir, me.Holder), nil
}

func keyOf(r *state.Record) flight.Key {
	return flight.Key{Instance: r.Instance, Service: r.Service, Version: r.Version}
}

// condemn keeps launches from taking a backend that is being stopped; done lets
// the next one have its turn. Where that cannot be had, because a launch is in
// progress or the disk is full, the backend is stopped all the same.
func (l *Local) condemn(store *state.Store, r *state.Record, patience time.Duration) (done func() error) {
	field, err := l.openField(store)
	if err != nil {
		return func() error { return nil }
	}
	turn, err := field.TryStop(keyOf(r), patience+undoTime)
	if err != nil {
		return field.Close
	}
	return func() error { return errors.Join(turn.End(), field.Close()) }
}

// freeTurn removes what a killed launcher left of its turn at a backend that has
// been stopped. A turn that somebody has stays.
func (l *Local) freeTurn(store *state.Store, r *state.Record) error {
	field, err := l.openField(store)
	if err != nil {
		return err
	}
	turn, err := field.Try(keyOf(r), 0)
	var busy *flight.Busy
	switch {
	case err == nil:
		err = turn.End()
	case errors.As(err, &busy):
		err = nil
	}
	return errors.Join(err, field.Close())
}

// atMost is how long a launch takes from here: what it waits for the backend,
// and what its undoing may take.
func (a *attempt) atMost() time.Duration {
	d := a.loaded.Definition.Launch
	return d.ReadyTimeout + d.Settle + undoTime
}

func (a *attempt) wait() time.Duration {
	if a.req.Wait > 0 {
		return a.req.Wait
	}
	return a.atMost()
}

func inProgress(b *flight.Busy) error {
	e := &LimitError{C: code.InProgress, RetryAfter: b.Remaining, Err: b}
	if b.Holder != nil {
		e.PID = b.Holder.PID
	}
	return e
}

// afford says whether the backend's budget allows another child.
func (a *attempt) afford() error {
	after, err := a.turn.RetryAfter()
	if err != nil {
		return err
	}
	if after > 0 && !fault.Mutant("spend-without-end") {
		return &LimitError{C: code.RateLimited, RetryAfter: after, Err: fmt.Errorf(
			"%d started backends failed within %v; try again in %v", flight.Limit, flight.Window, after.Round(time.Millisecond))}
	}
	return nil
}
