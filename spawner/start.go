package spawner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/fault"
	"github.com/spawnward/spawnward/spawner/private"
	"github.com/spawnward/spawnward/spawner/probe"
	"github.com/spawnward/spawnward/spawner/process"
	"github.com/spawnward/spawnward/spawner/state"
)

// intend writes down what is about to happen, so that a launcher that dies
// leaves no puzzle, and makes the directories that the backend will need.
func (a *attempt) intend(context.Context) error {
	store := a.store
	r, err := a.newRecord()
	if err != nil {
		return err
	}
	a.rec = r
	if err := store.Note(r); err != nil {
		return err
	}
	fault.At(fault.IntendRecorded)
	dir, err := private.Open(a.ids, a.l.runtime.parent, a.l.runtime.names...)
	if err != nil {
		return err
	}
	if err := dir.Close(); err != nil {
		return fmt.Errorf("close %s: %w", dir.Path(), err)
	}
	if a.notifies() {
		if a.notices, err = probe.ListenNotify(a.endpoint.Notify()); err != nil {
			return err
		}
	}
	if err := a.makeRun(); err != nil {
		return err
	}
	fault.At(fault.IntendFiles)
	a.stderr, err = openStderr(a.loaded.Definition.Launch.Stderr, a.subject().Root.Path, a.ids)
	return err
}

// makeRun makes the run directory, unless nobody was told of it.
func (a *attempt) makeRun() error {
	d := a.loaded.Definition
	if len(d.Launch.Files) == 0 && !d.Uses("run_dir") && a.report.Confine == nil {
		return nil
	}
	files := map[string]string{}
	for _, f := range a.expanded.Files {
		files[f.Name] = f.Content
	}
	return a.store.MakeRun(a.rec.ID, files)
}

func (a *attempt) newRecord() (*state.Record, error) {
	me, err := a.l.self()
	if err != nil {
		return nil, err
	}
	device, inode, err := imageID(a.target.Image(a.report.Binding))
	if err != nil {
		return nil, fmt.Errorf("look at the image: %w", err)
	}
	in, d := a.report.Input, a.loaded.Definition
	return &state.Record{
		Schema: 1, ID: a.endpoint.ID(), Phase: state.Intent,
		Service: a.req.Service, Version: a.req.Version, Instance: a.instance,
		DefinitionSHA256: a.loaded.SHA256, ObligationsSHA256: a.obligations,
		Binary: state.Binary{
			Path: a.target.Binary.Path, SHA256: a.target.Binary.SHA256,
			Device: device, Inode: inode,
		},
		Script:    a.report.Script,
		Endpoint:  a.endpoint,
		Launcher:  state.Launcher{PID: me.PID, StartTicks: me.StartTicks},
		MachineID: in.Host.MachineID, BootID: in.Host.BootID, PIDNamespace: me.pidNamespace,
		Binding: a.report.Binding, Probe: string(d.Launch.Probe), SettleMS: d.Launch.Settle.Milliseconds(),
		RunDir: a.runDir, DecisionID: a.report.DecisionID,
	}, nil
}

// spawn executes the measured descriptor and writes down which process it is,
// with a verified binding before it runs.
func (a *attempt) spawn(context.Context) error {
	if a.l.o.Adopt && !fault.Mutant("adopt-nobody") {
		if err := process.Adopt(); err != nil {
			return &SpawnError{C: code.SpawnFailed, Op: "adopt orphans", Err: err}
		}
		strangers, err := process.Others()
		if err != nil {
			return &SpawnError{C: code.SpawnFailed, Op: "list processes", Err: err}
		}
		a.strangers = strangers
	}
	if st, err := os.Stat(a.expanded.Dir); err != nil || !st.IsDir() {
		return &SpawnError{C: code.SpawnFailed, Op: "change to the working directory " + a.expanded.Dir, Err: cmp.Or(err, error(syscall.ENOTDIR))}
	}
	confinement, err := a.openConfinement()
	if err != nil {
		return err
	}
	defer confinement.close()
	spec, err := a.spec(confinement)
	if err != nil {
		return err
	}
	fault.At(fault.SpawnLinked)
	started := time.Now()
	p, err := process.Start(spec)
	if err != nil {
		return err
	}
	a.process = p
	fault.At(fault.SpawnStarted)
	if err := confinement.inStop(p.PID()); err != nil {
		return err
	}
	st, err := process.ReadStat(p.PID())
	if err != nil {
		return &SpawnError{C: code.SpawnFailed, Op: "look at the child", Err: err}
	}
	a.report.Identity = &Identity{
		PID: p.PID(), ExePath: a.target.Binary.Path, ExeSHA256: a.target.Binary.SHA256,
		BootID: a.rec.BootID, Endpoint: a.listening(), StartedAtUnixMS: started.UnixMilli(),
		IdleTimeoutSecs: a.report.Input.Service.Launch.IdleTimeoutSecs,
	}
	if fault.Mutant("no-idle-timeout") {
		a.report.Identity.IdleTimeoutSecs = nil
	}
	a.rec.Phase, a.rec.StartTicks, a.rec.Identity = state.Starting, st.StartTicks, a.report.Identity
	return a.store.Note(a.rec)
}

// spec says what to start, and makes the directory of its link where one is
// needed.
func (a *attempt) spec(c *confinement) (spec process.Spec, err error) {
	spec = process.Spec{
		File: a.target.Image(a.report.Binding), Name: filepath.Base(a.argv0),
		Argv: a.argv(), Keep: a.keep(), Env: envStrings(a.env),
		Dir: a.expanded.Dir, Stderr: a.stderr.file(), OnThread: c.onThread(),
	}
	if a.held() {
		if spec.Stop, err = a.l.stopper(); err != nil {
			return spec, err
		}
	}
	if !spec.Stop.Names(spec.File, spec.Name) {
		a.linked = true
		spec.LinkDir, err = a.store.MakeLink(a.rec.ID)
	}
	return spec, err
}

// verify compares the image with the measured file and lets the process run.
func (a *attempt) verify(ctx context.Context) error {
	err := a.target.Compare(ctx, a.process.PID(), a.report.Binding)
	if fault.Mutant("skip-comparison") {
		err = nil
	}
	a.target.Unlock()
	if err == nil {
		fault.At(fault.VerifyCompared)
		if err := a.process.Release(); err != nil {
			return err
		}
		a.released = true
		return nil
	}
	if ctx.Err() != nil {
		return canceled(Verify, ctx.Err())
	}
	if !a.process.Alive() {
		return a.exitedEarly(ctx)
	}
	return &IdentityError{C: code.BindingMismatch, PID: a.process.PID(), Err: err}
}

// record completes the record: the backend is verified and will be found again.
func (a *attempt) record(context.Context) error {
	a.rec.Phase = state.Ready
	if err := a.store.Put(a.rec); err != nil {
		return err
	}
	return a.turn.Reset()
}

// removeTraces removes everything that a backend leaves in files. The record
// goes last: as long as it is there, the rest can be found.
func removeTraces(store *state.Store, r *state.Record) error {
	var errs []error
	for _, socket := range []string{r.Endpoint.Path, r.Endpoint.Notify()} {
		if fault.Mutant("keep-the-socket") {
			continue
		}
		if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
			errs = append(errs, code.New("remove the socket", code.StateFailed, err))
		}
	}
	fault.At(fault.TracesSocket)
	errs = append(errs, store.RemoveLink(r.ID), store.RemoveRun(r.ID))
	fault.At(fault.TracesRun)
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if fault.Mutant("keep-the-record") {
		return nil
	}
	return store.Remove(r)
}
