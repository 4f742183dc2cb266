package spawner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/measure"
)

// script is a definition's binary that policy admitted although an interpreter
// runs it. The attempt's target is then that interpreter.
type script struct {
	source *measure.Target
	line   measure.ScriptLine
	copy   *os.File // sealed; what the interpreter reads
}

// subject is the file that the definition names.
func (a *attempt) subject() *measure.Target {
	if a.script != nil {
		return a.script.source
	}
	return a.target
}

// interpret decides on the interpreter of an admitted script as on a binary of
// its own, with its directory as its allow-root, and makes it the attempt's
// target. What both decisions found stands in the result.
func (a *attempt) interpret(ctx context.Context, in *admission.Input, first *admission.Decision) error {
	if err := a.openInterpreter(ctx); err != nil {
		return err
	}
	second := *in
	second.Binary, second.Root = a.target.Binary, a.target.Root
	second.Request.Args = a.argv()[1:]
	facts := &a.script.source.Binary
	second.Script = admission.Script{Path: facts.Path, SHA256: facts.SHA256, Size: facts.Size, Argument: valid(a.script.line.Argument)}
	a.report.Script = &Script{Path: facts.Path, SHA256: facts.SHA256}
	d, err := a.ask(ctx, &second)
	if err != nil {
		return err
	}
	d.Allow = d.Allow && first.Allow
	d.Violations = slices.Concat(first.Violations, d.Violations)
	d.Warnings = slices.Concat(first.Warnings, d.Warnings)
	d.Waived = slices.Concat(first.Waived, d.Waived)
	if format := a.target.Binary.Format; format != "elf" {
		return a.notInterpreted(fmt.Errorf("its interpreter %s is no program (format %s)", a.target.Binary.Path, format))
	}
	return nil
}

// openInterpreter measures the interpreter and takes a sealed copy of the
// script, once an attempt.
func (a *attempt) openInterpreter(ctx context.Context) error {
	if a.script != nil {
		return nil
	}
	source := a.target
	line, err := source.ScriptLine()
	if err != nil {
		return a.notInterpreted(err)
	}
	canonical := source.Binary.Interp.Canonical
	if why := line.Indirect(canonical); why != "" {
		return a.notInterpreted(errors.New(why))
	}
	if canonical == "" {
		return a.notInterpreted(fmt.Errorf("its interpreter %s cannot be measured: %s", line.Interpreter, source.Binary.Interp.Error))
	}
	t, err := measure.Measure(ctx, line.Interpreter, filepath.Dir(canonical), a.limits(), a.ids)
	if err != nil {
		return err
	}
	sealed, err := source.Seal(ctx)
	if err != nil {
		_ = t.Close() // read only: nothing can be lost
		return &MeasureError{C: code.MeasureFailed, Path: source.Binary.Path, Err: err}
	}
	source.Unlock() // whatever becomes of the file, the copy is what was measured
	a.script, a.target = &script{source, line, sealed}, t
	return nil
}

func (a *attempt) notInterpreted(err error) error {
	return code.New("run the script "+a.subject().Binary.Path, code.BinaryIsScript, err)
}

// argv is what the program is given: for a script what the kernel would give its
// interpreter, with the sealed copy in the script's place.
func (a *attempt) argv() []string {
	if a.script == nil {
		return append([]string{a.argv0}, a.expanded.Args...)
	}
	out := []string{a.script.line.Interpreter}
	if a.script.line.Argument != "" {
		out = append(out, a.script.line.Argument)
	}
	out = append(out, "/proc/self/fd/"+strconv.Itoa(int(a.script.copy.Fd())))
	return append(out, a.expanded.Args...)
}

// keep are the descriptors above 2 that the program inherits: the script, which
// its interpreter opens by that number.
func (a *attempt) keep() []*os.File {
	if a.script == nil {
		return nil
	}
	return []*os.File{a.script.copy}
}

// sameScript compares what a backend interprets with what this launch would.
func (a *attempt) sameScript(other *Script) bool {
	mine := a.report.Script
	if mine == nil || other == nil {
		return mine == other
	}
	return *mine == *other
}

// forget gives back what was measured, to measure anew.
func (a *attempt) forget() error {
	var errs []error
	if a.script != nil {
		errs = append(errs, a.script.source.Close(), a.script.copy.Close())
		a.script = nil
	}
	if a.target != nil {
		errs = append(errs, a.target.Close())
		a.target = nil
	}
	return errors.Join(errs...)
}
