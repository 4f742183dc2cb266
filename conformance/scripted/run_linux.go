package scripted

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/spawnward/spawnward/spawner/backend"
	"github.com/spawnward/spawnward/spawner/wire"
)

// Run plays the part that args name and returns the process's exit status. It
// must have the process for itself. Copies are made by running the executable
// again with this process's arguments, in which args are exchanged for others;
// args must therefore be the last of [os.Args].
func Run(ctx context.Context, args []string, stdio Stdio) int {
	report, reportErr := see() // before anything here opens a descriptor
	c, err := parse(args)
	if err != nil {
		fmt.Fprintln(stdio.Err, "scripted backend:", err)
		return statusUsage
	}
	if c.part == "ignore-term" {
		signal.Ignore(syscall.SIGTERM)
	} else {
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
		defer stop()
	}
	life := Lifetime
	if c.copied {
		life = CopyLifetime
	}
	ctx, cancel := context.WithTimeout(ctx, life)
	defer cancel()
	p := &player{call: c, stdio: stdio, prefix: prefix(args), report: report, reportErr: reportErr}
	status, err := p.play(ctx)
	if err != nil {
		fmt.Fprintf(stdio.Err, "scripted backend, part %s: %v\n", c.part, err)
	}
	return status
}

// player is one process that plays a part.
type player struct {
	call
	stdio     Stdio
	prefix    []string // os.Args up to the part
	report    *Report
	reportErr error
}

func prefix(args []string) []string {
	return os.Args[:max(1, len(os.Args)-len(args))]
}

// play turns an ended context into success: it is how a part ends in order.
func (p *player) play(ctx context.Context) (int, error) {
	if err := p.notePID(); err != nil {
		return statusFailed, err
	}
	if p.part == "exit" {
		status, err := strconv.Atoi(p.arg)
		if err != nil {
			return statusUsage, err
		}
		return status, fmt.Errorf("exits with status %d as told", status)
	}
	err := p.perform(ctx)
	switch {
	case errors.Is(err, errDie):
		return statusDied, nil
	case err != nil && ctx.Err() == nil:
		return statusFailed, err
	}
	return 0, nil
}

func (p *player) perform(ctx context.Context) error {
	if t, ok := twists()[p.part]; ok {
		return p.serveTwisted(ctx, t)
	}
	switch p.part {
	case "good", "ignore-term":
		return p.serveGood(ctx)
	case "late":
		return p.late(ctx)
	case "never", copyLinger:
		<-ctx.Done()
		return nil
	case "print-exit":
		return p.print()
	case "print":
		if err := p.print(); err != nil {
			return err
		}
		return p.serveGood(ctx)
	case "peer-good", copyDiscard:
		return p.serveDiscarding(ctx)
	case copyServe:
		return p.serveTwisted(ctx, twist{})
	}
	if isNotifyPart(p.part) {
		return p.performNotify(ctx)
	}
	return p.performForking(ctx)
}

func (p *player) late(ctx context.Context) error {
	wait, err := time.ParseDuration(p.arg)
	if err != nil {
		return err
	}
	if err := pause(ctx, wait); err != nil {
		return err
	}
	return p.serveGood(ctx)
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// serveGood is what a backend does that was written with the kit.
func (p *player) serveGood(ctx context.Context) error {
	if p.endpoint != "" {
		os.Setenv(wire.EnvBackendPipe, p.endpoint)
	}
	listener, err := backend.Listen()
	if err != nil {
		return err
	}
	defer listener.Close()
	return accept(ctx, listener, echo)
}

// serveTwisted answers with a twist, on the inherited socket if there is one.
func (p *player) serveTwisted(ctx context.Context, t twist) error {
	given, err := backend.Environment()
	if err != nil {
		return err
	}
	if p.endpoint != "" {
		given.Endpoint = p.endpoint
	}
	identity, err := backend.Identity(given)
	if err != nil {
		return err
	}
	if p.claimPID != 0 {
		identity.PID = uint32(p.claimPID)
	}
	listener, err := p.listen()
	if err != nil {
		return err
	}
	defer listener.Close()
	return answer(ctx, listener, t, identity)
}

func (p *player) serveDiscarding(ctx context.Context) error {
	listener, err := p.listen()
	if err != nil {
		return err
	}
	defer listener.Close()
	return accept(ctx, listener, discard)
}

// listen gives the inherited socket or makes one at the endpoint, in the plain
// way of a server that knows no broker.
func (p *player) listen() (*net.UnixListener, error) {
	if p.listener {
		file := os.NewFile(3, "inherited socket")
		defer file.Close()
		listener, err := net.FileListener(file)
		if err != nil {
			return nil, err
		}
		return listener.(*net.UnixListener), nil
	}
	path := p.endpoint
	if path == "" {
		given, err := backend.Environment()
		if err != nil {
			return nil, err
		}
		path = given.Endpoint
	}
	return net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
}

// notePID lets a test find every process of a part.
func (p *player) notePID() error {
	if p.pids == "" {
		return nil
	}
	file, err := os.OpenFile(p.pids, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = fmt.Fprintf(file, "%s %d\n", p.part, os.Getpid())
	return err
}
