package flight

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"time"
)

// Limit is how many children may be released for a backend within Window,
// unless one of them succeeds.
const Limit = 3

// Window is the time in which released children are counted.
const Window = 30 * time.Second

// budget is the file of a backend whose released children failed.
type budget struct {
	Schema int    `json:"schema"` // always 1
	BootID string `json:"boot_id"`
	// Released holds when children were released, on the boot-time clock, in
	// nanoseconds, oldest first.
	Released []time.Duration `json:"released_ns"`
}

// decodeBudget reads what [Turn.Charge] writes, and nothing else.
func decodeBudget(data []byte) (budget, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var b budget
	if err := d.Decode(&b); err != nil {
		return b, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return b, errors.New("there is more after the budget")
	}
	switch {
	case b.Schema != 1:
		return b, fmt.Errorf("schema %d is not known", b.Schema)
	case b.BootID == "":
		return b, errors.New("it names no boot")
	case len(b.Released) == 0 || len(b.Released) > Limit || !slices.IsSorted(b.Released) || b.Released[0] < 0:
		return b, fmt.Errorf("it does not list 1 to %d times in order", Limit)
	}
	return b, nil
}

func (t *Turn) budgetFile() string { return t.key.file() + ".budget" }

// spent lists when children were released that still count, oldest first. A
// time to come, which only another time namespace could have written, counts
// from now on.
func (t *Turn) spent(now time.Duration) ([]time.Duration, error) {
	data, err := t.f.dir.Read(t.budgetFile(), maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	path := filepath.Join(t.f.dir.Path(), t.budgetFile())
	if err != nil {
		return nil, corrupt(path, err)
	}
	b, err := decodeBudget(data)
	if err != nil {
		return nil, corrupt(path, err)
	}
	if b.BootID != t.f.me.BootID {
		return nil, nil
	}
	ahead := false
	for i, at := range b.Released {
		if at > now {
			b.Released[i], ahead = now, true
		}
	}
	if ahead {
		if err := t.write(b.Released); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(b.Released, func(at time.Duration) bool { return now-at >= Window }), nil
}

// RetryAfter says how long it is until a child may be released; 0 is at once.
func (t *Turn) RetryAfter() (time.Duration, error) {
	now, err := sinceBoot()
	if err != nil {
		return 0, err
	}
	spent, err := t.spent(now)
	if err != nil || len(spent) < Limit {
		return 0, err
	}
	return spent[len(spent)-Limit] + Window - now, nil
}

// Charge counts a released child that failed, durably.
func (t *Turn) Charge() error {
	now, err := sinceBoot()
	if err != nil {
		return err
	}
	spent, err := t.spent(now)
	if err != nil {
		return err
	}
	spent = append(spent, now)
	return t.write(spent[max(len(spent)-Limit, 0):])
}

func (t *Turn) write(released []time.Duration) error {
	data, err := json.Marshal(budget{Schema: 1, BootID: t.f.me.BootID, Released: released})
	if err != nil {
		return err
	}
	return t.f.dir.Write(t.budgetFile(), data)
}

// Reset forgets what was charged: a child has succeeded.
func (t *Turn) Reset() error {
	_, err := t.f.dir.Read(t.budgetFile(), maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return t.f.dir.Remove(t.budgetFile())
}
