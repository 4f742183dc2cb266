// Package flight lets one launch at a time work on a backend, across processes,
// and bounds how often a backend that fails is started again.
//
// A [Turn] is a file lock in the user's private state directory. It ends with
// the process that holds it, however that ends, and the file says who holds it
// and until when at most, for others to tell. A [Turn] also keeps the backend's
// budget: [Limit] released children that failed within [Window] are enough.
// Times are of the boot-time clock, which nobody sets and which goes on while
// the machine sleeps; what another boot wrote counts for nothing.
//
// Guarantees on Linux: of all who share the directory, one has the turn (on
// network file systems as far as these honour flock); an unreadable budget is an
// error, never an allowance. Programs of the same user can remove the files:
// they could start the backend by themselves as well. Other systems:
// errors.ErrUnsupported, wrapped.
package flight

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/fault"
	"github.com/spawnward/spawnward/spawner/private"
)

// Key names a backend: what must not be launched twice at once.
type Key struct {
	Instance string `json:"instance"`
	Service  string `json:"service"`
	Version  string `json:"version"`
}

// file is the beginning of the names of the key's files.
func (k Key) file() string {
	h := sha256.New()
	for _, part := range []string{k.Instance, k.Service, k.Version} {
		h.Write(fmt.Appendf(nil, "%d:%s", len(part), part)) // never fails
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Holder is who has a turn, as its lock file tells. It is a claim for people to
// read; that somebody holds it is certain.
type Holder struct {
	Key
	PID        int    `json:"pid"`
	StartTicks uint64 `json:"start_ticks"` // field 22 of /proc/pid/stat
	BootID     string `json:"boot_id"`
	// Since and Deadline are on the boot-time clock, in nanoseconds.
	Since    time.Duration `json:"since_ns"`
	Deadline time.Duration `json:"deadline_ns"`
	// Stopping: it ends the backend and launches none.
	Stopping bool `json:"stopping,omitempty"`
}

// Busy is the error of a turn that somebody else has.
type Busy struct {
	// Holder is nil when the lock file does not tell, which is so for the moment
	// in which it is written.
	Holder *Holder
	// Remaining is how long it may take at most until the turn is over; 0 when
	// that is not known.
	Remaining time.Duration
}

// Error names the holder.
func (b *Busy) Error() string {
	if b.Holder == nil {
		return "another launch of it is in progress"
	}
	does := "launching"
	if b.Holder.Stopping {
		does = "stopping"
	}
	return fmt.Sprintf("process %d is %s it, and is done within %v", b.Holder.PID, does, b.Remaining.Round(time.Millisecond))
}

// Field keeps the turns of one user in a directory of its own.
type Field struct {
	dir *private.Dir
	me  Holder
}

// Open takes over the directory. me says who asks for turns: pid, start time and
// boot id.
func Open(dir *private.Dir, me Holder) *Field { return &Field{dir: dir, me: me} }

// Close releases the directory, which turns need until they end.
func (f *Field) Close() error { return f.dir.Close() }

// Sweep removes what killed writers left.
func (f *Field) Sweep() error { return f.dir.Sweep() }

// Turn is the right to launch a backend.
type Turn struct {
	f    *Field
	key  Key
	lock *private.Lock
}

// Try takes the turn if nobody has it; else the error is a *[Busy]. The holder
// expects to be done within atMost.
func (f *Field) Try(k Key, atMost time.Duration) (*Turn, error) { return f.try(k, atMost, false) }

// TryStop is Try for who ends the backend: launches do not take it for theirs
// meanwhile.
func (f *Field) TryStop(k Key, atMost time.Duration) (*Turn, error) { return f.try(k, atMost, true) }

// Stopping reports whether somebody has the turn to end the backend.
func (f *Field) Stopping(k Key) (bool, error) {
	name := k.file() + ".lock"
	lock, err := f.dir.TryLock(name)
	if err == nil {
		return false, lock.Release()
	}
	if !errors.Is(err, private.ErrLocked) {
		return false, err
	}
	b := f.busy(name, 0)
	return b.Holder != nil && b.Holder.Stopping, nil
}

func (f *Field) try(k Key, atMost time.Duration, stopping bool) (*Turn, error) {
	now, err := sinceBoot()
	if err != nil {
		return nil, err
	}
	name := k.file() + ".lock"
	if fault.Mutant("no-single-flight") {
		name = fmt.Sprintf("%d.lock", f.me.PID)
	}
	lock, err := f.dir.TryLock(name)
	if errors.Is(err, private.ErrLocked) {
		return nil, f.busy(name, now)
	}
	if err != nil {
		return nil, err
	}
	me := f.me
	me.Key, me.Since, me.Deadline, me.Stopping = k, now, now+atMost, stopping
	text, err := json.Marshal(me)
	if err == nil {
		err = lock.Say(text)
	}
	if err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	return &Turn{f: f, key: k, lock: lock}, nil
}

// maxFile bounds the files of this package, in bytes.
const maxFile = 4 << 10

func (f *Field) busy(name string, now time.Duration) *Busy {
	data, err := f.dir.Read(name, maxFile)
	var h Holder
	if err != nil || json.Unmarshal(data, &h) != nil || h.PID <= 0 {
		return &Busy{}
	}
	b := &Busy{Holder: &h}
	if h.BootID == f.me.BootID {
		b.Remaining = max(h.Deadline-now, 0)
	}
	return b
}

// End lets the next one have the turn.
func (t *Turn) End() error { return t.lock.Release() }

// corrupt is the error for a file that cannot be what it should.
func corrupt(path string, err error) error {
	return code.New("read "+path, code.RecordCorrupt, fmt.Errorf("%w; no backend is started before it is looked at and deleted", err))
}
