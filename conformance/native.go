package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// native drives the spawnward command.
type native struct{ program string }

// userHash stands for the machine's, which a container may not have.
const userHash = "00000000000000c0"

func (n native) ask(ctx context.Context, r request, started func(int)) (*result, error) {
	args := r.step.Command
	if r.verb != "command" {
		args = n.arguments(r)
	}
	program := n.program
	if r.t.c.As != 0 {
		program = r.t.backend // a copy that every user can reach
	}
	if r.step.Program != "" {
		program = r.t.path(r.step.Program)
	}
	var words []string
	for _, a := range args {
		words = append(words, r.t.text(a))
	}
	return run(ctx, r, program, words, started)
}

// arguments are those of the command line.
func (n native) arguments(r request) []string {
	args := []string{r.verb}
	if !r.step.Text {
		args = append(args, "--output=json")
	}
	if !r.step.NoUserHash {
		args = append(args, "--user-hash="+userHash)
	}
	launches := r.verb == "launch" || r.verb == "check" || r.verb == "exec"
	if launches && r.policy != "" {
		args = append(args, "--policy="+r.policy)
	}
	for flag, value := range map[string]string{
		"--traceparent": r.step.Trace.Parent, "--tracestate": r.step.Trace.State, "--request-id": r.step.Trace.RequestID,
	} {
		if value != "" {
			args = append(args, flag+"="+value)
		}
	}
	args = append(args, r.step.Flags...)
	if r.ref == "" {
		return args
	}
	if !r.step.ByFlags {
		return append(args, r.ref)
	}
	d := r.t.definition(r.t.c.Service)
	for flag, field := range map[string]string{"--binary": "binary_path", "--root": "per_version_binary_dir"} {
		if s, ok := d[field].(string); ok && s != "" {
			args = append(args, flag+"="+s)
		}
	}
	args = append(args, r.ref)
	launch, _ := d["launch"].(map[string]any)
	if probe, ok := launch["probe"].(string); ok {
		args = append(args[:len(args)-1], "--probe="+probe, r.ref)
	}
	words, _ := launch["args"].([]any)
	if len(words) > 0 {
		args = append(args, "--")
	}
	for _, w := range words {
		args = append(args, fmt.Sprint(w))
	}
	return args
}

// endGrace is how long a program may take to end once it was asked to, and how
// long what it started may hold its output open.
const endGrace = 5 * time.Second

// run runs one program to its end.
func run(ctx context.Context, r request, program string, args []string, started func(int)) (*result, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env, cmd.Dir = r.env, r.t.root
	cmd.Stdin = strings.NewReader(r.t.text(r.step.Stdin))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = endGrace
	cmd.SysProcAttr = launchAttributes(r.t.c.As)
	if r.step.Stdout != "" {
		device, err := os.OpenFile(r.step.Stdout, os.O_WRONLY, 0)
		if err != nil {
			return nil, err
		}
		defer device.Close()
		cmd.Stdout = device
	}
	if r.step.Inherit {
		if err := openExtra(cmd, r.t.root); err != nil {
			return nil, err
		}
		defer cmd.ExtraFiles[0].Close()
	}
	if err := inWorld(cmd, r.t); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	started(cmd.Process.Pid)
	err := cmd.Wait()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%s did not end in time: %w; it said: %s", strings.Join(args, " "), ctx.Err(), stderr.String())
	}
	out := &result{stdout: stdout.String(), stderr: stderr.String(), judged: true}
	var exit *exec.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit):
		out.exit = exit.ExitCode()
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			out.exit = 128 + int(ws.Signal())
		}
	case errors.Is(err, exec.ErrWaitDelay):
		return nil, fmt.Errorf("%s ended, but something that it started holds its output open: %w", strings.Join(args, " "), err)
	default:
		return nil, err
	}
	out.decode()
	return out, nil
}
