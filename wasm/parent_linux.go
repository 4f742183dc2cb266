//go:build amd64 || arm64

package wasm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// inWorker starts a worker, hands it the job and returns its answer. The worker
// is dead and reaped when it returns, whatever happened.
func inWorker(ctx context.Context, path string, j job, l *limit) (answer, error) {
	type result struct {
		answer answer
		err    error
	}
	done := make(chan result, 1)
	go func() {
		// The kernel kills the worker when the thread that started it ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		a, err := start(ctx, path, j, l)
		done <- result{a, err}
	}()
	r := <-done
	return r.answer, r.err
}

func start(ctx context.Context, path string, j job, l *limit) (answer, error) {
	code := 0
	if j.engine == compileOnly {
		code = maxEntry
	}
	stdout := &bounded{limit: maxAnswer + code}
	stderr := &bounded{limit: maxStderr}
	cmd := exec.CommandContext(ctx, path)
	cmd.Args = []string{workerName}
	cmd.Env = []string{}
	cmd.Dir = "/"
	stdin, err := feed(j)
	if err != nil {
		return answer{}, fmt.Errorf("start its worker: %w", err)
	}
	defer stdin.Close()
	cmd.Stdin = stdin
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setsid: true}
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		return answer{}, died(err, nil)
	}
	done := l.watch(cmd.Process.Pid)
	err = cmd.Wait()
	used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	done(used)
	if err != nil {
		return answer{used: used}, died(err, stderr.data)
	}
	a, err := decodeAnswer(bytes.NewReader(stdout.data), code)
	if err != nil {
		return answer{}, fmt.Errorf("the worker gave no answer: %w; does %s call wasm.RunWorker first in main?", err, path)
	}
	return a, nil
}

// feed gives a pipe with the job in it. It is as large as an ordinary user may
// make it: the machine code of a module in small pieces takes longer than the rest
// of the run.
func feed(j job) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	_, _ = unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, 1<<20) // it works with any size
	go func() {
		_, _ = io.Copy(w, j.encode()) // a worker that reads no more has its own reason
		_ = w.Close()
	}()
	return r, nil
}

// died says how a worker ended that did not answer. The first line of a crash of
// the Go runtime says what was wrong, such as memory beyond the limit.
func died(err error, stderr []byte) error {
	line, _, _ := bytes.Cut(stderr, []byte("\n"))
	var exit *exec.ExitError
	switch {
	case !errors.As(err, &exit):
		return fmt.Errorf("start its worker: %w", err)
	case len(line) > 0:
		return fmt.Errorf("its worker died (%s): %s", exit, printable(line))
	}
	return fmt.Errorf("its worker died (%s)", exit)
}

// bounded keeps the beginning of what a worker writes.
type bounded struct {
	data  []byte
	limit int
}

// Write never fails: a worker that is cut off would die of the pipe instead of
// what was wrong with it.
func (b *bounded) Write(p []byte) (int, error) {
	b.data = append(b.data, cut(p, b.limit-len(b.data))...)
	return len(p), nil
}
