package wasm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spawnward/spawnward/spawner/code"
)

// workerName is the whole command line of a worker. No shell or file name
// lookup makes it by accident, and who makes it on purpose gets a process that
// can do nothing.
const workerName = "[spawnward hook worker]"

// Worker is the program that hooks run in; the zero value is none.
type Worker struct{ path string }

// WorkerAt names another program that calls [RunWorker] first in its main, for
// callers that cannot do so themselves. The path must be absolute, and nobody
// who is not trusted with the caller's own program may write it.
func WorkerAt(path string) Worker { return Worker{path} }

// Run runs a hook in a worker process and returns what it proposes. Nothing of
// the worker is left when it returns. Every failure, a rejection too, is an
// *Error; only a context that ends has the code canceled, and a system without
// workers the code unsupported.
func Run(ctx context.Context, h Hook, in Input, o Options) (*Result, error) {
	started := time.Now()
	j, deadline, err := prepare(h, in, o)
	if err != nil {
		return nil, &Error{Hook: h.Name, C: code.HookFailed, Err: err}
	}
	limited, l := newLimit(ctx, deadline)
	defer l.cancel()
	a, err := runJob(limited, h.Module.SHA256, j, o, l)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return nil, code.New("run the hook", code.Unsupported, err)
	case ctx.Err() != nil && err != nil:
		return nil, code.New("run the hook", code.Canceled, context.Cause(ctx))
	case l.isOver() && err != nil:
		err = fmt.Errorf("it did not end within %s of processor time and was killed, after %s of it and %s in all; make it do less, or give it a longer deadline",
			deadline, a.used.Round(time.Millisecond), time.Since(started).Round(time.Millisecond))
	}
	result := &Result{Stderr: a.parts[2]}
	if err == nil {
		err = a.problem()
	}
	if err == nil {
		result.Reply, err = ParseReply(a.parts[1])
	}
	if err != nil {
		return nil, &Error{Hook: h.Name, C: code.HookFailed, Stderr: a.parts[2], Err: err}
	}
	if no := result.Reply.Reject; no != nil {
		return nil, &Error{Hook: h.Name, C: code.HookRejected, Rejection: no, Stderr: a.parts[2],
			Err: fmt.Errorf("it rejects the launch: %s: %+q", no.Code, no.Message)}
	}
	result.Took = time.Since(started)
	return result, nil
}

// runJob runs a job in a worker. With a cache, code that is not in it is made by a
// worker of its own first, which runs nothing of the module: no guest that takes
// its worker over can change what the next run gets.
func runJob(ctx context.Context, digest string, j job, o Options, l *limit) (answer, error) {
	if j.engine != compileRun {
		return inWorker(ctx, o.Worker.path, j, l)
	}
	dir, err := o.Cache.open()
	if err != nil {
		return answer{}, err
	}
	if dir == nil {
		return inWorker(ctx, o.Worker.path, j, l)
	}
	defer dir.Close()
	j.parts[3] = compiled(dir, digest)
	if j.parts[3] == nil {
		a, err := inWorker(ctx, o.Worker.path, job{engine: compileOnly, seconds: j.seconds, parts: [4][]byte{j.parts[0], j.parts[1]}}, l)
		if err != nil || a.problem() != nil {
			return a, err
		}
		j.parts[3] = a.parts[3]
		// What cannot be kept is made again.
		_ = keep(dir, digest, j.parts[3])
	}
	return inWorker(ctx, o.Worker.path, j, l)
}

// prepare checks what a caller hands over.
func prepare(h Hook, in Input, o Options) (job, time.Duration, error) {
	deadline := o.Deadline
	if deadline == 0 {
		deadline = DefaultDeadline
	}
	engines := map[Engine]byte{"": interpret, Interpreter: interpret, Compiler: compileRun}
	engine, known := engines[o.Engine]
	switch {
	case os.Args[0] == workerName:
		return job{}, 0, errors.New("this process was started as a worker and has gone on into main; call wasm.RunWorker first there")
	case !filepath.IsAbs(o.Worker.path) && o.Worker.path != "":
		return job{}, 0, fmt.Errorf("the path of the worker %q is not absolute", o.Worker.path)
	case o.Worker.path == "":
		return job{}, 0, errors.New("there is no worker to run it in; call wasm.RunWorker first in main and hand on what it returns")
	case h.Module == nil || len(h.Module.code) == 0:
		return job{}, 0, errors.New("it has no module; open one")
	case h.Name == "" || len(h.Name) > maxJobName:
		return job{}, 0, fmt.Errorf("its name has %d bytes; give one of 1 to %d", len(h.Name), maxJobName)
	case deadline < 0 || deadline > MaxDeadline:
		return job{}, 0, fmt.Errorf("the deadline %s is not above 0 and at most %s", deadline, MaxDeadline)
	case !known:
		return job{}, 0, fmt.Errorf("the engine %q is not one of %s, %s", o.Engine, Interpreter, Compiler)
	}
	input, err := in.encode()
	if err != nil {
		return job{}, 0, err
	}
	seconds := uint32((deadline + time.Second - 1) / time.Second)
	return job{engine: engine, seconds: seconds, parts: [4][]byte{[]byte(h.Name), h.Module.code, input}}, deadline, nil
}

// problem is why an ending is not a good one.
func (a answer) problem() error {
	switch a.end {
	case exited:
		if a.status == 0 {
			return nil
		}
		return fmt.Errorf("it ended with status %d; it must end with 0, also when it rejects the launch", a.status)
	case trapped:
		return fmt.Errorf("it was ended by a fault: %s", printable(a.parts[0]))
	case refused:
		return fmt.Errorf("the engine refuses the module: %s; build it for WebAssembly 2.0 without reference types and SIMD", printable(a.parts[0]))
	case flooded:
		return fmt.Errorf("it wrote more than %d bytes to standard output", MaxReply)
	case slept:
		return errors.New("it slept longer than its deadline; a hook has nothing to wait for")
	default:
		return fmt.Errorf("the worker could not restrict itself: %s", printable(a.parts[0]))
	}
}

// printable is text of an engine, which may hold names of the guest's.
func printable(b []byte) string { return fmt.Sprintf("%+q", cut(b, 512)) }
