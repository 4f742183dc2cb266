// Package decisionlog keeps what policy decided, and what came of it, in files
// that show when somebody changed them.
//
// Each launch leaves two lines of JSON with the same decision_id: a [Decision],
// durable before anything of the launch takes effect, and an [Outcome] after.
// A line carries the SHA-256 of the line before it, across files, so that
// whoever keeps a head (the digest of one line) can prove later that nothing up
// to it was changed, removed or inserted ([Verify]). Without a head, somebody
// who may write the file can rewrite it from any line on; the log is the user's
// own file, and this is said, not hidden.
//
// Values of environment variables are never written. Arguments are: every user
// of the machine can read them in /proc while the backend runs, so a secret does
// not belong there.
//
// Linux: files are 0600 in a directory with mode 0700, appended under a lock
// that processes share, whole lines at a time. What a crash or a power cut left
// unfinished is closed by the next line, which carries its digest. Other systems:
// every call that touches files fails with an error that wraps
// errors.ErrUnsupported.
package decisionlog

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/fswalk"
	"github.com/spawnward/spawnward/spawner/private"
)

const (
	// Current is the name of the file that is appended to. Full ones are renamed
	// to decisions-000001.jsonl and so on.
	Current = "decisions.jsonl"

	// DefaultMaxBytes is the size at which a new file is begun.
	DefaultMaxBytes = 64 << 20

	// maxLine bounds one line, in bytes.
	maxLine = 16 << 20

	// lockPatience is how long another process may hold the log.
	lockPatience = 5 * time.Second
)

// Log appends to the files of one directory. It opens them with the first event.
// Safe for concurrent use, also by several processes.
type Log struct {
	uid    int
	parent string
	names  []string
	// Rotated, when not nil, is told the name of a file that is full and the
	// digest of its last line. Set it before the first event.
	Rotated func(file, head string)

	mu   sync.Mutex
	dir  *private.Dir
	file *private.Shared
	at   tail // of file, as of the last append
}

// New gives the log in parent/names[0]/…, of which the names are the user's own
// directories, made when they are missing.
func New(uid int, parent string, names ...string) *Log {
	return &Log{uid: uid, parent: parent, names: names}
}

// Path is the directory that holds the files.
func (l *Log) Path() string { return filepath.Join(append([]string{l.parent}, l.names...)...) }

// Decision writes what policy decided and makes it durable. The error has the
// code log_failed, or log_in_allow_root when the log stands inside the
// directory that the binary must be under, where a backend could change it.
func (l *Log) Decision(ctx context.Context, d *Decision) error {
	body, err := d.encode(time.Now())
	if err != nil {
		return logFailed("encode the decision", err)
	}
	root := d.Input.Root
	return l.append(ctx, body, func(dir *private.Dir) error {
		if root.Inode == 0 {
			return nil // there is no such directory
		}
		inside, err := dir.Below(root.Device, root.Inode)
		if err != nil || !inside {
			return err
		}
		return code.New("log the decision", code.LogInAllowRoot, fmt.Errorf("the log %s stands inside the allow-root %s", dir.Path(), root.Path))
	}, d.Settings.MaxBytes, true)
}

// Outcome writes what came of a decision. It is durable with the next decision.
// The error has the code log_failed.
func (l *Log) Outcome(ctx context.Context, o *Outcome) error {
	body, err := o.encode(time.Now())
	if err != nil {
		return logFailed("encode the outcome", err)
	}
	return l.append(ctx, body, nil, o.Settings.MaxBytes, false)
}

// Writable reports what would keep the log from being written, and makes what is
// missing.
func (l *Log) Writable(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.open()
	if err == nil {
		_, _, err = l.file.Lock(ctx)
	}
	if err == nil {
		err = l.file.Unlock()
	}
	if err != nil {
		return logFailed("open the decision log "+l.Path(), errors.Join(err, l.close()))
	}
	return nil
}

// Close lets go of the files. The log can be used again.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.close()
}

func (l *Log) close() error {
	if l.dir == nil {
		return nil
	}
	err := errors.Join(l.file.Close(), l.dir.Close())
	l.dir, l.file, l.at = nil, nil, tail{}
	return err
}

func (l *Log) open() error {
	if l.dir != nil {
		return nil
	}
	dir, err := private.Open(fswalk.NewIdentities(l.uid), l.parent, l.names...)
	if err != nil {
		return err
	}
	l.dir, l.file = dir, dir.Shared(Current)
	return nil
}

func logFailed(op string, err error) error {
	if c, ok := code.Of(err); ok && c == code.LogInAllowRoot {
		return err
	}
	return code.New(op, code.LogFailed, err)
}
