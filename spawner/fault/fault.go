// Package fault marks the places where a launch can be cut, held or broken on
// purpose, for the tests that prove what happens then.
//
// Without the build tag faults, which no release has, [At] and [Mutant] are
// empty and the compiler removes every call. With it (Linux only) they are driven
// by the environment, which is read at every call:
//
//	SPAWNWARD_FAULT_STEP=STEP:ACTION[,STEP:ACTION...]
//	SPAWNWARD_FAULT_DIR=DIR        where pause finds its two FIFOs
//	SPAWNWARD_FAULT_MUTANT=NAME    breaks one promise; see [Mutant]
//
// A step is one of [Steps]. Its actions are
//
//	kill    the process kills itself with SIGKILL
//	pause   it opens DIR/at for writing, writes the step's name and a line end,
//	        closes it, and goes on when DIR/go has been opened for writing and
//	        closed
//
// Opening a FIFO waits for its other end, so that neither side can miss the
// other: package gate is that other end. A step that is no step, an action that
// is none, and a FIFO that fails end the process with a panic: a test must not
// pass because nothing happened.
package fault

import "slices"

// Names of what drives a build with faults.
const (
	EnvStep   = "SPAWNWARD_FAULT_STEP"
	EnvDir    = "SPAWNWARD_FAULT_DIR"
	EnvMutant = "SPAWNWARD_FAULT_MUTANT"
)

// The actions at a step.
const (
	Kill  = "kill"
	Pause = "pause"
)

// Before is put in front of a stage's name for the moment before it begins.
const Before = "before-"

// The places inside of stages, in the order in which a launch comes by them.
const (
	MeasureOpened  = "measure-opened"  // the binary is open and leased where that is possible, nothing is hashed
	IntendRecorded = "intend-recorded" // the intent is durable
	IntendFiles    = "intend-files"    // the run directory and its files are there
	SpawnLinked    = "spawn-linked"    // the private link's directory is there
	SpawnForked    = "spawn-forked"    // in the forking thread: the child was made and, to be verified, stops at its exec
	SpawnHeld      = "spawn-held"      // in the forking thread: it cannot run after its launcher's end
	SpawnStarted   = "spawn-started"   // the launcher holds the child
	VerifyCompared = "verify-compared" // the image is the measured file, still stopped
	ProbeAnswered  = "probe-answered"  // the proof succeeded, settling comes
	BecomeReady    = "become-ready"    // of exec: this process is confined, the last look at the file comes
	UndoBegun      = "undo-begun"      // a launch failed, nothing is undone
	UndoEnded      = "undo-ended"      // its process is dead, its files are there
	EndedProcess   = "stop-ended"      // a backend was stopped, its files are there
	TracesSocket   = "traces-socket"   // its socket is removed
	TracesRun      = "traces-run"      // its run directory is removed, the record is there
)

// Stages are those of a launch and of exec, in their order. Each name is a step
// that is reached when the stage has succeeded, and with [Before] in front when
// it is about to begin.
func Stages() []string {
	return []string{
		"resolve", "measure", "decide", "queue", "reuse", "shape", "log",
		"intend", "spawn", "verify", "probe", "record", "become",
	}
}

// Steps lists every step.
func Steps() []string {
	all := []string{
		MeasureOpened, IntendRecorded, IntendFiles, SpawnLinked, SpawnForked, SpawnHeld, SpawnStarted,
		VerifyCompared, ProbeAnswered, BecomeReady, UndoBegun, UndoEnded, EndedProcess, TracesSocket, TracesRun,
	}
	for _, s := range Stages() {
		all = append(all, s, Before+s)
	}
	slices.Sort(all)
	return all
}
