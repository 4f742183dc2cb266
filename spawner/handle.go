package spawner

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/probe"
	"github.com/spawnward/spawnward/spawner/process"
	"github.com/spawnward/spawnward/spawner/state"
)

// Handle is a verified backend. It holds the process itself, by pidfd, so that
// nothing it does ever reaches another process. Dropping a handle, with or
// without Close, leaves the backend running. Safe for concurrent use.
type Handle struct {
	l       *Local
	process *process.Process
	rec     *state.Record
	report  *Report

	mu   sync.Mutex
	gone bool
}

// Service and Version are the backend's key.
func (h *Handle) Service() string { return h.rec.Service }

// Version is the version that was requested.
func (h *Handle) Version() string { return h.rec.Version }

// Identity is what was recorded of the verified process.
func (h *Handle) Identity() Identity { return *h.rec.Identity }

// Binding says how strongly the measured file and the process are tied.
func (h *Handle) Binding() admission.Binding { return h.rec.Binding }

// Report tells how the launch went; nil for a handle that was not launched by
// this process.
func (h *Handle) Report() *Report { return h.report }

// Alive asks the kernel whether the process still runs, without a connection.
func (h *Handle) Alive() bool { return h.process.Alive() }

// Done is closed when the process has ended.
func (h *Handle) Done() <-chan struct{} { return h.process.Done() }

// Connect opens a connection to the backend and compares the listener with the
// held process before it returns it. Each call does so anew. A backend that was
// launched by the notify probe has an endpoint when its definition names
// ${endpoint}; without one the error is [ErrNoEndpoint].
func (h *Handle) Connect(ctx context.Context) (net.Conn, error) {
	if h.rec.Identity.Endpoint.Path == "" {
		return nil, ErrNoEndpoint
	}
	conn, err := probe.Dial(ctx, h.rec.Endpoint.Path)
	if err != nil {
		return nil, err
	}
	var verdict error
	err = h.process.WithPidfd(func(fd int) { verdict = probe.VerifyPeer(conn, h.process.PID(), fd) })
	if err == nil {
		err = verdict
	}
	if err == nil && !h.process.Alive() {
		err = fmt.Errorf("connect to %s: %w", h.rec.Service, process.ErrGone)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// Stop asks the backend to end (SIGTERM) and, when it has not done so after
// patience, ends it and its whole session by force (SIGKILL). It then removes
// the socket, the generated files and the record. forced tells whether force was
// needed. Stopping a backend that has ended is no error.
func (h *Handle) Stop(ctx context.Context, patience time.Duration) (forced bool, err error) {
	if h.isGone() {
		return false, nil
	}
	if store, stateErr := h.l.existingState(); stateErr == nil {
		defer store.Close()
		free := h.l.condemn(store, h.rec, patience)
		defer func() { err = errors.Join(err, free()) }()
	}
	forced, err = process.Family{Leader: h.process}.Stop(ctx, patience)
	if err != nil {
		return forced, fmt.Errorf("stop %s@%s: %w", h.rec.Service, h.rec.Version, err)
	}
	return forced, h.forget()
}

// Kill ends the backend and its whole session by force and removes what it
// left. It cuts a Stop that is under way short.
func (h *Handle) Kill(ctx context.Context) error {
	if h.isGone() {
		return nil
	}
	if err := (process.Family{Leader: h.process}).End(ctx); err != nil {
		return fmt.Errorf("kill %s@%s: %w", h.rec.Service, h.rec.Version, err)
	}
	return h.forget()
}

func (h *Handle) isGone() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.gone
}

// Close lets go of the backend, which runs on. The handle is of no further use.
func (h *Handle) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gone {
		return nil
	}
	h.gone = true
	return h.process.Close()
}

// forget removes the traces of an ended backend.
func (h *Handle) forget() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gone {
		return nil
	}
	h.gone = true
	store, err := h.l.openState()
	if err != nil {
		return errors.Join(err, h.process.Close())
	}
	err = errors.Join(removeTraces(store, h.rec), store.Close(), h.process.Close())
	h.l.allocator(h.rec.Instance).Release(h.rec.Endpoint)
	return err
}
