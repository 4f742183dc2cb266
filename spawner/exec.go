package spawner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/fault"
	"github.com/spawnward/spawnward/spawner/private"
	"github.com/spawnward/spawnward/spawner/process"
)

// Exec decides as [Local.Launch] does and then becomes the program: the same
// process, with its standard descriptors as they are, nothing else open, the clean
// environment of a launch, the definition's working directory and confinement,
// and every signal at its default action. It is the last step of a container's entry
// point, a unit or a task, whose supervisor sees the program as the process that
// it started.
//
// There is no record, no probe and no limit on attempts. The program gets an
// endpoint only when its definition names it, and no run directory: nobody would
// remove either. Its binding is [admission.Leased], or [admission.Sealed] where
// policy demands more, because a process cannot hold itself at its exec.
//
// Exec returns only on failure, with a *[Failure]; the program has then not begun.
// After an error of confinement the process may be confined in part and should
// end. The whole process is replaced: other goroutines just cease. On systems
// other than Linux the error wraps errors.ErrUnsupported.
func (l *Local) Exec(ctx context.Context, req Request) error {
	a := l.attempt(req)
	a.becomes = true
	err := a.run(ctx,
		step{Resolve, a.resolve}, // the definition, the argument vector
		step{Measure, a.measure}, // the file is opened and hashed, its directories walked
		step{Decide, a.decide},   // policy has the word
		step{Shape, a.shape},     // hooks propose an environment; policy has the last word on it
		step{Log, a.log},         // which is on disk before anything follows from it
		step{Become, a.become},   // the measured descriptor is executed, unwritten
	)
	a.report.Identity = nil // nothing runs
	err = a.undo(ctx, a.logRefusal(ctx, err))
	a.logOutcome(ctx)
	return err
}

// checkExec refuses what needs somebody to clean up after the program.
func (a *attempt) checkExec() error {
	d := a.loaded.Definition
	if len(d.Launch.Files) > 0 || d.Uses("run_dir") {
		return code.New("exec "+a.req.Service, code.ServiceInvalid,
			errors.New("the definition has files or names ${run_dir}, which nobody would remove after the program; use launch, or put them in a place of their own"))
	}
	return nil
}

// wantsEndpoint tells whether a name for a socket is needed.
func (a *attempt) wantsEndpoint() bool {
	d := a.loaded.Definition
	return !a.becomes || d.Uses("endpoint") || d.Uses("endpoint_dir")
}

func (a *attempt) bindings() []admission.Binding {
	if a.becomes {
		return []admission.Binding{admission.Leased, admission.Sealed}
	}
	return a.l.bindings()
}

// become replaces this process. It locks its thread for good: what confines the
// thread is for the program.
func (a *attempt) become(ctx context.Context) error {
	if st, err := os.Stat(a.expanded.Dir); err != nil || !st.IsDir() {
		return &SpawnError{C: code.SpawnFailed, Op: "change to the working directory " + a.expanded.Dir, Err: cmp.Or(err, error(syscall.ENOTDIR))}
	}
	if a.endpoint.Path != "" {
		dir, err := private.Open(a.ids, a.l.runtime.parent, a.l.runtime.names...)
		if err != nil {
			return err
		}
		if err := dir.Close(); err != nil {
			return fmt.Errorf("close %s: %w", dir.Path(), err)
		}
	}
	if a.req.Admitted != nil {
		a.req.Admitted(a.report)
	}
	handled := make(chan os.Signal, 8)
	signal.Notify(handled, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	defer signal.Stop(handled)
	a.executed(ctx)
	runtime.LockOSThread()
	image := a.target.Image(a.report.Binding)
	if plan := a.report.Confine; plan != nil {
		if err := plan.ApplySelf(image); err != nil {
			return unconfined(err)
		}
	}
	fault.At(fault.BecomeReady)
	defer process.DefaultSignals()()
	if err := a.target.Unwritten(a.report.Binding); err != nil {
		return &IdentityError{C: code.BindingMismatch, PID: os.Getpid(), Err: err}
	}
	if err := cmp.Or(ctx.Err(), asked(handled)); err != nil {
		return canceled(Become, err)
	}
	return process.Become(process.Spec{
		File: image, Name: filepath.Base(a.argv0), Argv: a.argv(), Keep: a.keep(),
		Env: envStrings(a.env), Dir: a.expanded.Dir,
	})
}

// asked finds a signal that was handled in this process and asks the program to
// end: it must not be lost on the way.
func asked(handled <-chan os.Signal) error {
	idle := make(chan os.Signal, 1)
	signal.Notify(idle, os.Interrupt) // which is in handled too: nothing changes
	signal.Stop(idle)                 // returns when all that was handled has been delivered
	for {
		select {
		case s := <-handled:
			if s == os.Interrupt || s == syscall.SIGTERM || s == syscall.SIGQUIT {
				return fmt.Errorf("signal %v", s)
			}
		default:
			return nil
		}
	}
}

// executed logs the outcome while there is still somebody to do it. An exec that
// fails after it logs another one.
func (a *attempt) executed(ctx context.Context) {
	a.report.Outcome = Executed
	a.report.Identity = &Identity{
		PID: os.Getpid(), ExePath: a.target.Binary.Path, ExeSHA256: a.target.Binary.SHA256,
		BootID: a.report.Input.Host.BootID, Endpoint: a.endpoint, StartedAtUnixMS: time.Now().UnixMilli(),
		IdleTimeoutSecs: a.report.Input.Service.Launch.IdleTimeoutSecs,
	}
	a.logOutcome(ctx)
}
