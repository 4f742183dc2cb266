package spawner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/fault"
	"github.com/spawnward/spawnward/spawner/measure"
	"github.com/spawnward/spawnward/spawner/probe"
	"github.com/spawnward/spawnward/spawner/process"
	"github.com/spawnward/spawnward/spawner/service"
)

// Pauses between attempts are a part of the time that the backend has taken so
// far, within the first and the last of these: a fast backend is met at once, and
// a slow one costs little and is met late by that part.
const (
	firstPause = 20 * time.Microsecond
	lastPause  = 50 * time.Millisecond
	pausePart  = 32
)

// precisely bounds the pauses for which a thread is kept.
const precisely = 2 * time.Millisecond

// exitGrace is how long a failed attempt waits for the process to turn out
// dead: a dying process closes its sockets before its end can be seen.
const exitGrace = 50 * time.Millisecond

// probe waits until the backend has proven itself on its endpoint.
func (a *attempt) probe(ctx context.Context) error {
	if a.linked {
		if err := a.store.RemoveLink(a.rec.ID); err != nil {
			return err
		}
	}
	limit := a.loaded.Definition.Launch.ReadyTimeout
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if a.notifies() {
		if err := a.awaitNotice(ctx, within); err != nil {
			return err
		}
		fault.At(fault.ProbeAnswered)
		if !a.listens() {
			return nil
		}
	}
	for begin := time.Now(); ; {
		err := a.tryProbe(within)
		if err == nil {
			fault.At(fault.ProbeAnswered)
			return a.settle(ctx)
		}
		if ctx.Err() != nil {
			return canceled(Probe, ctx.Err())
		}
		if !errors.Is(err, probe.ErrNotYet) && !errors.Is(err, context.DeadlineExceeded) {
			return a.unlessExited(ctx, err)
		}
		if a.endsDuring(within, min(max(firstPause, time.Since(begin)/pausePart), lastPause)) {
			return a.exitedEarly(ctx)
		}
		if ctx.Err() != nil {
			return canceled(Probe, ctx.Err())
		}
		if within.Err() != nil {
			return &ProbeError{C: code.ReadyTimeout, Err: fmt.Errorf("the backend was not ready within %v: %w%s", limit, err, a.saidLast())}
		}
	}
}

// endsDuring waits for a pause, or until ctx is done or the backend has ended,
// and reports the latter.
func (a *attempt) endsDuring(ctx context.Context, pause time.Duration) bool {
	if pause <= precisely {
		return a.process.EndsWithin(pause)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-a.process.Done():
		return true
	case <-ctx.Done():
	case <-timer.C:
	}
	return false
}

// tryProbe makes one attempt and, if it succeeds, sees to it that the process
// was alive after it had answered.
func (a *attempt) tryProbe(ctx context.Context) error {
	err := a.l.attemptProbe(ctx, a.process, a.target, a.rec.Probe, a.report.Identity, a.req.Trace)
	if err == nil && !a.process.Alive() {
		return a.exitedEarly(ctx)
	}
	return err
}

// attemptProbe connects, compares the listener with the held process, and for
// the identity probe asks it who it is. The attempt's deadline is for the answer:
// what it states may need the file to be read once more.
func (l *Local) attemptProbe(launch context.Context, p *process.Process, t *measure.Target, kind string, id *Identity, trace admission.Trace) error {
	if id.Endpoint.Path == "" {
		return nil // it notified once; that it runs is all that can be asked
	}
	ctx, cancel := context.WithTimeout(launch, probe.AttemptTimeout)
	defer cancel()
	conn, err := probe.Dial(ctx, id.Endpoint.Path)
	if err != nil {
		return err
	}
	defer conn.Close()
	var verdict error
	if err := p.WithPidfd(func(fd int) { verdict = probe.VerifyPeer(conn, p.PID(), fd) }); err != nil {
		return err
	}
	if verdict != nil || kind != string(service.ProbeIdentity) {
		return verdict
	}
	digest, err := id.Digest()
	if err != nil {
		return err
	}
	return probe.Identity(ctx, conn, probe.Expectation{
		PID: id.PID, ExePath: id.ExePath, SHA256: digest, BootID: id.BootID,
		Namespace: id.Endpoint.NamespaceID, Path: id.Endpoint.Path,
		BLAKE3: func() ([32]byte, error) { return l.blake3(launch, t) },
	}, trace)
}

// settle waits a moment after the peer proof: a server that goes into the
// background after it listens would have passed.
func (a *attempt) settle(ctx context.Context) error {
	if a.rec.Probe != string(service.ProbePeer) || fault.Mutant("skip-settle") {
		return nil
	}
	timer := time.NewTimer(a.loaded.Definition.Launch.Settle)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return canceled(Probe, ctx.Err())
	case <-a.process.Done():
	}
	exit, known := a.process.Exit()
	if known && (exit.Signaled || exit.Status != 0) {
		return a.exitedEarly(ctx)
	}
	return &ProbeError{C: code.BackendForkedAway, Err: errors.New("the launched process listened and then ended; what goes on is a copy of it that nobody verified")}
}

// unlessExited prefers the end of the process to the confused answer of a dying
// one.
func (a *attempt) unlessExited(ctx context.Context, err error) error {
	timer := time.NewTimer(exitGrace)
	defer timer.Stop()
	select {
	case <-a.process.Done():
		return a.exitedEarly(ctx)
	case <-timer.C:
	case <-ctx.Done():
	}
	return err
}

func (a *attempt) exitedEarly(context.Context) error {
	how := "the backend ended before it was ready"
	exit, known := a.process.Exit()
	if known {
		how += " with " + exit.String()
	}
	if known && !exit.Signaled && exit.Status == 0 {
		how += "; a server that goes into the background cannot be verified, keep it in the foreground"
	}
	return &ProbeError{C: code.ExitedEarly, Err: errors.New(how + a.saidLast())}
}

func (a *attempt) saidLast() string {
	if fault.Mutant("forget-last-words") {
		return ""
	}
	if words := a.stderr.lastWords(); words != "" {
		return "; it last wrote on standard error:\n" + words
	}
	return ""
}
