package decisionlog

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spawnward/spawnward/spawner/private"
)

// append adds one line: body with the digest of the line before it.
func (l *Log) append(ctx context.Context, body []byte, check func(*private.Dir) error, maxBytes int64, durable bool) error {
	if maxBytes <= 0 {
		maxBytes = DefaultMaxBytes
	}
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.open()
	if err == nil {
		err = l.write(ctx, body, maxBytes, durable)
	}
	// Afterwards: who is refused for it must not leave the log without a trace.
	if err == nil && check != nil {
		err = check(l.dir)
	}
	if err != nil {
		// What is broken is opened anew next time.
		return logFailed("write the decision log "+l.Path(), errors.Join(err, l.close()))
	}
	return nil
}

func (l *Log) write(ctx context.Context, body []byte, maxBytes int64, durable bool) error {
	for {
		f, fresh, err := l.file.Lock(ctx)
		if err != nil {
			return err
		}
		if err := l.find(f, fresh); err != nil {
			return errors.Join(err, l.file.Unlock())
		}
		// What is torn is closed in its own file first.
		if l.at.end > 0 && l.at.torn == nil && l.at.end+int64(len(body)) > maxBytes {
			if err := l.rotate(); err != nil {
				return err
			}
			continue
		}
		err = l.put(f, body)
		if err == nil && durable {
			err = private.SyncData(f)
		}
		return errors.Join(err, l.file.Unlock())
	}
}

// find brings l.at up to date with a file that others may have appended to.
func (l *Log) find(f *os.File, fresh bool) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if !fresh && st.Size() == l.at.end && l.at.torn == nil && l.at.end > 0 {
		return nil
	}
	at, err := readTail(f, st.Size())
	if err != nil {
		return err
	}
	if at.head == "" {
		before, err := l.predecessor()
		if err != nil {
			return err
		}
		at.head = before.head
		if at.torn == nil && st.Size() == 0 {
			at.torn = before.torn
		}
	}
	l.at = at
	return nil
}

// put writes one line at the end, or nothing.
func (l *Log) put(f *os.File, body []byte) error {
	line := make([]byte, 0, len(body)+256)
	if l.at.open {
		line = append(line, '\n')
	}
	start := len(line)
	line = fmt.Appendf(line, `{"previous":%q,`, l.at.head)
	if t := l.at.torn; t != nil {
		line = fmt.Appendf(line, `"torn":{"bytes":%d,"sha256":%q},`, t.bytes, t.sha256)
	}
	line = append(line, body[1:]...)
	if len(line)-start > maxLine {
		return fmt.Errorf("the event has %d bytes, and a line may have %d", len(line)-start, maxLine)
	}
	head := digest(line[start:])
	line = append(line, '\n')
	if _, err := f.WriteAt(line, l.at.end); err != nil {
		// Half a line on a full disk is worse than none.
		return errors.Join(err, f.Truncate(l.at.end))
	}
	l.at = tail{head: head, end: l.at.end + int64(len(line))}
	return nil
}

// rotate gives the locked file, which is full, its number.
func (l *Log) rotate() error {
	files, err := rotated(l.dir)
	if err == nil {
		next := 1
		if n := len(files); n > 0 {
			next = files[n-1].number + 1
		}
		name := fmt.Sprintf("decisions-%06d.jsonl", next)
		// The outcomes of its last decisions were not made durable.
		if err = l.file.Sync(); err == nil {
			err = l.file.Move(name)
		}
		if err == nil && l.Rotated != nil {
			l.Rotated(name, l.at.head)
		}
	}
	l.at = tail{}
	return errors.Join(err, l.file.Close())
}
