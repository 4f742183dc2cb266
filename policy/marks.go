package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/spawnward/spawnward/spawner/private"
)

// Mark is the newest bundle that was accepted from a key under a name.
type Mark struct {
	Sequence int64  `json:"sequence"`
	Content  string `json:"content"` // digest of the bundle's files
}

// Marks remembers marks. Implementations are safe for concurrent use, also by
// several processes: whatever they do at a time, Newest never gives a mark that
// is older than one which Raise has kept.
type Marks interface {
	// Newest gives the mark for a key's id and a bundle's name; found is false
	// when there is none.
	Newest(key, name string) (mark Mark, found bool, err error)
	// Raise keeps a mark durably.
	Raise(key, name string, mark Mark) error
}

// MarkDir keeps marks in a private directory, each in a file that is named by
// its number: whoever adds one takes no other's away, so that no lock is needed.
type MarkDir struct{ dir *private.Dir }

// NewMarkDir keeps marks in dir, which stays the caller's to close.
func NewMarkDir(dir *private.Dir) *MarkDir { return &MarkDir{dir} }

const (
	maxMarkBytes = 1024
	markDigits   = 19 // of the largest sequence number
)

func markPrefix(key, name string) string {
	return strings.TrimPrefix(key, "sha256:") + "." + name + "."
}

// Newest implements [Marks].
func (m *MarkDir) Newest(key, name string) (Mark, bool, error) {
	names, err := m.names(key, name)
	if err != nil || len(names) == 0 {
		return Mark{}, false, err
	}
	last := names[len(names)-1]
	text, err := m.dir.Read(last, maxMarkBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return m.Newest(key, name) // a newer one took its place
	}
	if err != nil {
		return Mark{}, false, err
	}
	var mark Mark
	if err := json.Unmarshal(text, &mark); err != nil || last != markPrefix(key, name)+padded(mark.Sequence) {
		return Mark{}, false, fmt.Errorf("%s/%s is damaged; remove it only if you know which sequence number was accepted last", m.dir.Path(), last)
	}
	return mark, true, nil
}

// Raise implements [Marks].
func (m *MarkDir) Raise(key, name string, mark Mark) error {
	if mark.Sequence < 1 {
		return errors.New("sequence numbers begin with 1")
	}
	text, err := json.Marshal(mark)
	if err != nil {
		return err
	}
	own := markPrefix(key, name) + padded(mark.Sequence)
	if err := m.dir.Write(own, append(text, '\n')); err != nil {
		return err
	}
	names, err := m.names(key, name)
	if err != nil {
		return err
	}
	for _, old := range names {
		if old < own {
			if err := m.dir.Remove(old); err != nil {
				return err
			}
		}
	}
	return nil
}

// names are the files of a key and name, the newest last.
func (m *MarkDir) names(key, name string) ([]string, error) {
	all, err := m.dir.Names()
	prefix := markPrefix(key, name)
	return slices.DeleteFunc(all, func(n string) bool {
		return !strings.HasPrefix(n, prefix) || len(n) != len(prefix)+markDigits
	}), err
}

func padded(sequence int64) string {
	digits := strconv.FormatInt(sequence, 10)
	return strings.Repeat("0", max(0, markDigits-len(digits))) + digits
}
