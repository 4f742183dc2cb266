package policy

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/spawnward/spawnward/spawner/admission"
)

// Manager keeps the policy of a resident process current. It holds one whole
// generation at a time; a reload puts another in its place all at once or leaves
// it. Safe for concurrent use.
//
// It implements [admission.Decider], each call being answered by exactly one
// generation, and [admission.Generations], by which a launch asks one and the
// same for everything.
type Manager struct {
	options Options
	current atomic.Pointer[Engine]
	reload  sync.Mutex
	build   func(context.Context, Options) (*Engine, error)
}

// NewManager loads the first generation. Its error is that of [Load]: there is
// nothing yet to fall back to.
func NewManager(ctx context.Context, o Options) (*Manager, error) {
	m := &Manager{options: o, build: loadWhole}
	if err := m.Reload(ctx); err != nil {
		return nil, err
	}
	return m, nil
}

// Reload loads the policy anew from where it came from, with every check of
// [Load]. With an error the generation that was there stays in force. Reloads
// happen one after another; decisions go on meanwhile.
func (m *Manager) Reload(ctx context.Context) error {
	m.reload.Lock()
	defer m.reload.Unlock()
	e, err := m.build(ctx, m.options)
	if err != nil {
		return err
	}
	if before := m.current.Load(); before != nil && before.id == e.id {
		return nil // nothing changed: what is warm stays warm
	}
	m.current.Store(e)
	return nil
}

// Current is the generation in force.
func (m *Manager) Current() *Engine { return m.current.Load() }

// Generation implements [admission.Generations].
func (m *Manager) Generation() admission.Decider { return m.Current() }

// Settings implements [admission.Decider].
func (m *Manager) Settings(service string) admission.Settings { return m.Current().Settings(service) }

// Decide implements [admission.Decider].
func (m *Manager) Decide(ctx context.Context, in *admission.Input) (admission.Decision, error) {
	return m.Current().Decide(ctx, in)
}
