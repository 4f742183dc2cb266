//go:build !linux

package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/spawnward/spawnward/spawner/code"
)

// ErrGone says that the process no longer exists.
var ErrGone = errors.New("the process is gone")

func unsupported(what string) error {
	return fmt.Errorf("%s on %s: %w", what, runtime.GOOS, errors.ErrUnsupported)
}

func signalName(int) string { return "unknown" }

// Process is held by descriptor on Linux; here none can be made.
type Process struct{}

// Start fails: only Linux executes a descriptor so far.
func Start(Spec) (*Process, error) {
	return nil, failed("start", unsupported("starting a measured file"))
}

// Become fails: only Linux executes a descriptor so far.
func Become(Spec) error { return failed("execute", unsupported("becoming a measured file")) }

// Open fails: only Linux holds a process by descriptor so far.
func Open(int, uint64) (*Process, error) { return nil, unsupported("holding a process") }

// Stopper is the proof that a child can be held at its exec; here there is none.
type Stopper struct{}

// NewStopper fails: only Linux holds a process at its exec so far.
func NewStopper() (*Stopper, error) {
	return nil, &Error{C: code.BindingUnavailable, Op: "stop at exec", Err: unsupported("holding a process at its exec")}
}

// Names is false.
func (s *Stopper) Names(*os.File, string) bool { return false }

// Release does nothing.
func (p *Process) Release() error { return nil }

// PID is 0.
func (p *Process) PID() int { return 0 }

// Done never closes.
func (p *Process) Done() <-chan struct{} { return nil }

// Alive is false.
func (p *Process) Alive() bool { return false }

// EndsWithin is false at once.
func (p *Process) EndsWithin(time.Duration) bool { return false }

// WithPidfd fails.
func (p *Process) WithPidfd(func(int)) error { return unsupported("pidfd") }

// Exit knows nothing.
func (p *Process) Exit() (Exit, bool) { return Exit{}, false }

// Reap does nothing.
func (p *Process) Reap() {}

// AutoReap does nothing.
func (p *Process) AutoReap() {}

// Close does nothing.
func (p *Process) Close() error { return nil }

// Stat names a process.
type Stat struct {
	PID, PPID, Group, Session int
	State                     byte
	StartTicks                uint64
}

// ReadStat fails.
func ReadStat(int) (Stat, error) { return Stat{}, unsupported("reading a process") }

// Adopt fails.
func Adopt() error { return unsupported("adopting orphans") }

// Children fails.
func Children() (map[int]bool, error) { return nil, unsupported("listing children") }

// Strangers are processes that were there before.
type Strangers struct{}

// Others fails.
func Others() (*Strangers, error) { return nil, unsupported("listing processes") }

// Family describes what belongs to a started backend.
type Family struct {
	Leader    *Process
	Strangers *Strangers
}

// End fails.
func (f Family) End(context.Context) error { return unsupported("ending a process") }

// Stop fails.
func (f Family) Stop(context.Context, time.Duration) (bool, error) {
	return false, unsupported("stopping a process")
}

// Survivors fails.
func Survivors(int, uint64) ([]Stat, error) { return nil, unsupported("listing a session") }

// Kill fails.
func (st Stat) Kill(context.Context) error { return unsupported("ending a process") }

// All fails.
func All() ([]Stat, error) { return nil, unsupported("listing processes") }

// DefaultSignals does nothing: [Become] fails before it matters.
func DefaultSignals() (restore func()) { return func() {} }
