package spawner

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/endpoint"
	"github.com/spawnward/spawnward/spawner/probe"
	"github.com/spawnward/spawnward/spawner/service"
)

// notifies tells whether the backend says itself when it is ready.
func (a *attempt) notifies() bool {
	return !a.becomes && a.loaded.Definition.Launch.Probe == service.ProbeNotify
}

// listens tells whether the backend has an endpoint. One that notifies has it
// when its definition says what to do with it.
func (a *attempt) listens() bool {
	return !a.notifies() || a.loaded.Definition.Uses("endpoint")
}

// listening is the endpoint as it stands in the identity: without a path when
// nobody listens there.
func (a *attempt) listening() endpoint.Endpoint {
	at := a.endpoint
	if !a.listens() {
		at.Path = ""
	}
	return at
}

// awaitNotice waits for the message that the backend is ready, which must come
// from the held process itself.
func (a *attempt) awaitNotice(ctx, within context.Context) error {
	reading, stop := context.WithCancel(within)
	defer stop()
	go func() {
		select {
		case <-a.process.Done():
			stop()
		case <-reading.Done():
		}
	}()
	for {
		n, err := a.nextNotice(reading)
		switch {
		case ctx.Err() != nil:
			return canceled(Probe, ctx.Err())
		case !a.process.Alive():
			return a.endedUnready(ctx, n)
		case within.Err() != nil:
			return &ProbeError{C: code.ReadyTimeout, Err: fmt.Errorf("the backend did not say READY=1 within %v%s%s%s",
				a.loaded.Definition.Launch.ReadyTimeout, a.statusText(), a.ignoredText(), a.saidLast())}
		case err != nil:
			return &ProbeError{C: code.StateFailed, Err: err}
		}
		if ready, err := a.heed(n); ready || err != nil {
			return err
		}
	}
}

func (a *attempt) nextNotice(ctx context.Context) (n probe.Notice, err error) {
	cerr := a.process.WithPidfd(func(fd int) { n, err = a.notices.Next(ctx, a.process.PID(), fd) })
	return n, errors.Join(cerr, err)
}

// heed takes what the backend says of itself.
func (a *attempt) heed(n probe.Notice) (ready bool, err error) {
	if n.Status != "" {
		a.report.Status = n.Status
	}
	if n.Errno != 0 {
		return false, &ProbeError{C: code.BackendFailed, Err: fmt.Errorf("the backend says that it cannot start: %w (ERRNO=%d)%s%s",
			n.Errno, int(n.Errno), a.statusText(), a.saidLast())}
	}
	if n.MainPID != 0 && n.MainPID != a.process.PID() {
		return false, &ProbeError{C: code.BackendForkedAway, Err: fmt.Errorf(
			"the backend calls process %d the main one (MAINPID), which nobody verified", n.MainPID)}
	}
	return n.Ready, nil
}

// endedUnready looks for a reason among the last words of an ended backend.
func (a *attempt) endedUnready(ctx context.Context, last probe.Notice) error {
	all := []probe.Notice{last}
	err := a.process.WithPidfd(func(fd int) { all = append(all, a.notices.Rest(a.process.PID(), fd)...) })
	if err != nil {
		return err
	}
	for _, n := range all {
		if _, err := a.heed(n); err != nil {
			return err
		}
	}
	return a.exitedEarly(ctx)
}

func (a *attempt) statusText() string {
	if a.report.Status == "" {
		return ""
	}
	return "; its last status was " + strconv.QuoteToASCII(a.report.Status)
}

func (a *attempt) ignoredText() string {
	seen, text := a.notices.Ignored(), ""
	if seen.Foreign > 0 {
		text = fmt.Sprintf("; %d messages of other processes were ignored, the last of process %d: the launched process must send it itself", seen.Foreign, seen.LastPID)
	}
	if seen.Malformed > 0 {
		text += fmt.Sprintf("; %d messages were too long or none", seen.Malformed)
	}
	return text
}

// closeNotices ends listening: from here on the backend's messages go nowhere,
// as the senders expect of a supervisor that has left.
func (a *attempt) closeNotices() error {
	if a.notices == nil {
		return nil
	}
	n := a.notices
	a.notices = nil
	return n.Close()
}
