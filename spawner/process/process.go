// Package process starts a detached process from an open file and holds it by
// its pidfd.
//
// Guarantees on Linux (5.9 or later): what is executed is the given descriptor,
// not a path; the child has a session of its own, no controlling terminal, only
// descriptors 0 to 2, and survives its parent; the parent's other threads,
// descriptors, umask and working directory are untouched. The child is known by
// pidfd from its first moment, so that no signal ever reaches a stranger who
// got its number. No signal is blocked in the child; those that this process
// ignores (nohup) stay ignored in it. On other systems everything fails with an
// error that wraps errors.ErrUnsupported.
package process

import (
	"fmt"
	"os"

	"github.com/spawnward/spawnward/spawner/code"
)

// Spec says what to start.
type Spec struct {
	// File is executed. It must be a regular file, open for reading.
	File *os.File
	// Name becomes the process's name (comm, cut to 15 bytes by the kernel).
	Name string
	// LinkDir is a private directory in which a link of that name stands while
	// the file is executed, because the kernel takes the process's name from it.
	// It is not looked at where [Stopper.Names] is true of Stop, File and Name.
	LinkDir string
	Argv    []string
	Env     []string // "NAME=value"
	Dir     string   // absolute working directory
	// Stderr receives descriptor 2; nil is the null device, as are 0 and 1.
	Stderr *os.File
	// Keep stays open in the program, each under the number that it has here.
	Keep []*os.File
	// OnThread, when not nil, restricts the thread that forks the child, which is
	// thrown away: what it changes there the child inherits and nobody else sees.
	// It must not start anything. Its error keeps the child from being made.
	OnThread func() error
	// Stop, when not nil, holds the process at its exec: it is there under its
	// final name and image, and not one of its instructions has run.
	// [Process.Release] lets it go. Whatever ends the launcher before that, or
	// Close, ends the process too, and none of its instructions has run.
	// A file whose execution raises privileges would silently lose them. A host
	// that waits for any child (wait4 of -1) takes the stop away, and Start may
	// then wait for ever: it must wait for its own children by their numbers.
	Stop *Stopper
}

// Error says which step of starting or holding a process failed.
type Error struct {
	C   code.Code
	Op  string // "unshare", "execute", …
	Err error
}

// Error gives the step and the system's reason.
func (e *Error) Error() string { return e.Op + ": " + e.Err.Error() }

// Unwrap returns the system's error.
func (e *Error) Unwrap() error { return e.Err }

// Code returns the stable code.
func (e *Error) Code() code.Code { return e.C }

func failed(op string, err error) *Error { return &Error{C: code.SpawnFailed, Op: op, Err: err} }

// Exit says how a child of this process ended.
type Exit struct {
	Signaled bool
	Status   int // exit status, or the signal's number
	Core     bool
}

// String reads "exit status 3" or "signal 9 (killed)".
func (e Exit) String() string {
	if e.Signaled {
		return fmt.Sprintf("signal %d (%s)", e.Status, signalName(e.Status))
	}
	return fmt.Sprintf("exit status %d", e.Status)
}
