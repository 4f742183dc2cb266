package spawner

import (
	"context"
	"time"

	"github.com/spawnward/spawnward/spawner/fault"
)

// Launch starts one backend, or finds the one that is there, and returns a handle
// to it once it is proven; the report's outcome tells which. The
// error is a *[Failure], which wraps the cause and tells how far it got. A
// cancelled context undoes the launch.
func (l *Local) Launch(ctx context.Context, req Request) (*Handle, error) {
	defer l.tryStop()()
	a := l.attempt(req)
	defer a.logOutcome(ctx) // whatever happened
	err := a.run(ctx,
		step{Resolve, a.resolve}, // the definition, an endpoint, the argument vector
		step{Measure, a.measure}, // the file is opened and hashed, its directories walked
		step{Decide, a.decide},   // policy has the word
		step{Queue, a.queue},     // nobody else is at work on this backend, or it is there
		step{Reuse, a.reuse},     // a live one is taken; what dead ones left is cleared away
		step{Shape, a.shape},     // hooks propose an environment; policy has the last word on it
		step{Log, a.log},         // which is on disk before anything follows from it
		step{Intend, a.intend},   // what is about to be is written down
		step{Spawn, a.spawn},     // the measured descriptor is executed, up to its first instruction
		step{Verify, a.verify},   // it is the measured file, unwritten, and may run
		step{Probe, a.probe},     // the process answers on its endpoint
		step{Record, a.record},   // it will be found again
	)
	if err != nil {
		return nil, a.undo(ctx, a.logRefusal(ctx, err))
	}
	return a.finish()
}

// Check does everything up to the last decision: it runs hooks and starts no
// backend. The report has the decision whether it allows or not; an error means
// that there is none.
func (l *Local) Check(ctx context.Context, req Request) (*Report, error) {
	defer l.tryStop()()
	a := l.attempt(req)
	err := a.run(ctx,
		step{Resolve, a.resolve},
		step{Measure, a.measure},
		step{Decide, a.decide},
		step{Shape, a.shape},
	)
	a.letGo()
	if err != nil && a.report.Decision == nil {
		return nil, a.failure(err)
	}
	a.report.Outcome = Allowed
	if err != nil {
		_ = a.failure(err) // the report has it
	}
	return a.report, nil
}

// A Step is one stage of a launch, in the order in which they are taken.
type Step string

// The steps.
const (
	Resolve Step = "resolve"
	Measure Step = "measure"
	Decide  Step = "decide"
	Queue   Step = "queue"
	Reuse   Step = "reuse"
	Shape   Step = "shape"
	Log     Step = "log"
	Intend  Step = "intend"
	Spawn   Step = "spawn"
	Verify  Step = "verify"
	Probe   Step = "probe"
	Record  Step = "record"
	Become  Step = "become" // of an exec
)

type step struct {
	name Step
	do   func(context.Context) error
}

// concerns reports whether a step is taken although a live backend was found:
// that nothing is started is decided, and logged, all the same.
func (s step) concerns(f *found) bool {
	return f == nil || s.name == Reuse || s.name == Log
}

// Event tells an [Observer] that a step of a launch has succeeded.
type Event struct {
	Step    Step
	Service string
	Version string
	Binary  string // canonical path, from Measure on
	PID     int    // from Spawn on, or from when a live backend was found
	Took    time.Duration
}

// An Observer watches launches. Observe is called after each step that
// succeeded and before the next begins; it can look and delay, but it cannot
// skip or change anything. Calls for different launches may be concurrent.
type Observer interface {
	Observe(ctx context.Context, e Event)
}

func (a *attempt) run(ctx context.Context, steps ...step) error {
	for _, s := range steps {
		if err := ctx.Err(); err != nil {
			return canceled(s.name, err)
		}
		if !s.concerns(a.found) {
			continue
		}
		if fault.Enabled {
			fault.At(fault.Before + string(s.name))
		}
		begin := time.Now()
		err := s.do(ctx)
		took := time.Since(begin)
		a.report.Timings.add(s.name, took)
		if err != nil {
			return err
		}
		fault.At(string(s.name))
		if a.l.o.Observer != nil {
			e := Event{Step: s.name, Service: a.req.Service, Version: a.req.Version, Took: took}
			if a.target != nil {
				e.Binary = a.target.Binary.Path
			}
			if a.process != nil {
				e.PID = a.process.PID()
			} else if a.found != nil {
				e.PID = a.found.process.PID()
			}
			a.l.o.Observer.Observe(ctx, e)
		}
	}
	return nil
}
