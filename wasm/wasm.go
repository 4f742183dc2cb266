// Package wasm runs environment hooks: WebAssembly modules that read one JSON
// object, write one, and can do nothing else.
//
// Guarantees on Linux (amd64 and arm64): the bytes that run are those whose
// digest was compared ([Open]); a module beyond the limits of the gate ([Check])
// meets no compiler; compiling and running happen in a worker process of its
// own for each run, never in the caller's, which is ended by force at the
// deadline, counted in processor time, and by the kernel when the caller dies. The worker has no
// environment and no descriptors but its pipes (and the two of Go's own event
// loop), can open none, can start no process, may make only the system calls
// that memory, threads and its pipes need, and has limits on address space,
// processor time and files. Landlock denies it the file system where the kernel
// has it. The guest sees no files, no arguments but its name, no environment, a
// clock that starts at a fixed time and random bytes that are the same each
// time: the same input gives the same output.
//
// On every other system [Run] and [Open] fail with an error that wraps
// errors.ErrUnsupported.
//
// A program that runs hooks calls [RunWorker] first in its main function and
// hands on what it returns.
package wasm

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/private"
)

// DefaultDeadline is how long a hook may take, the start of its worker included:
// of a processor's time, and at most five times as much on the clock, which only
// a busy machine needs.
const DefaultDeadline = time.Second

// MaxDeadline is the longest deadline.
const MaxDeadline = time.Minute

// Engine says how a module is executed.
type Engine string

// The engines.
const (
	// Interpreter compiles in near-linear time and needs no executable memory.
	// It is what the empty Engine means.
	Interpreter Engine = "interpreter"
	// Compiler makes machine code: faster code after a slower start.
	Compiler Engine = "compiler"
)

// Hook is one module and the name by which definitions and messages call it.
type Hook struct {
	Name   string
	Module *Module
}

// Options of a run. The zero value fails: it names no worker.
type Options struct {
	// Worker is what RunWorker returned.
	Worker Worker
	// Engine is Interpreter when empty.
	Engine Engine
	// Deadline is DefaultDeadline when 0 and at most MaxDeadline.
	Deadline time.Duration
	// Cache, when it is not zero, spares the Compiler from compiling a module anew
	// in each run. Within Deadline a module may have to be compiled.
	Cache Cache
}

// Result is what a hook that ended well wrote.
type Result struct {
	Reply Reply
	// Stderr is the beginning of the guest's standard error, at most 8 KiB. It
	// is the guest's own bytes: quote it before it is shown.
	Stderr []byte
	// Took is the whole run, the worker's start included.
	Took time.Duration
}

// Error is a hook that did not end well, or that rejected the launch.
type Error struct {
	Hook string
	// C is hook_failed or hook_rejected.
	C code.Code
	// Rejection is set with hook_rejected.
	Rejection *Rejection
	// Stderr is as in Result.
	Stderr []byte
	Err    error
}

// Error names the hook and the cause; nothing of the guest's is in it unquoted.
func (e *Error) Error() string { return fmt.Sprintf("hook %q: %v", e.Hook, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Code returns the stable code.
func (e *Error) Code() code.Code { return e.C }

// Open reads a module once, compares its SHA-256 with the digest that pins it
// (64 lower-case hexadecimal digits) and checks it. The file and the
// directories above it must belong to root or the user uid and be writable by
// nobody else. Codes: hook_digest_mismatch, hook_invalid, and those of
// private.ReadTrusted.
func Open(uid int, path, sha256 string) (*Module, error) {
	m, err := Read(uid, path)
	if m != nil && m.SHA256 != sha256 {
		return nil, code.New("open the hook "+path, code.HookDigestMismatch,
			fmt.Errorf("its SHA-256 is %s, not %q", m.SHA256, strings.ToValidUTF8(sha256, "?")))
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Read is Open for a file that nothing pins yet, such as one that is being
// written; a launch uses Open. A module that fails the gate is returned with the
// error, with digest and size only.
func Read(uid int, path string) (*Module, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	// The gate has better words for a module that is somewhat too large.
	data, err := private.ReadTrusted(uid, absolute, 4*MaxModule)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, code.New("open the hook "+path, code.HookInvalid, errors.New("there is no such file; build it, or correct the path"))
	}
	if err != nil {
		return nil, err
	}
	m, err := check(data)
	if err != nil {
		return &Module{SHA256: m.SHA256, Size: m.Size}, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}
