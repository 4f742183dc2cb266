package decisionlog

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spawnward/spawnward/spawner/private"
)

// tail is the end of a file.
type tail struct {
	head string // digest of the last whole line; "" when there is none
	end  int64  // size of the file
	torn *torn  // what stands after it
	open bool   // the file ends inside a line
}

// torn is a line that was not written to its end.
type torn struct {
	bytes  int64
	sha256 string // 64 hexadecimal digits
}

func digest(line []byte) string {
	sum := sha256.Sum256(line)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// firstWindow is how much of a file's end is read at first.
const firstWindow = 32 << 10

// readTail looks for the last line from the end, however long the file is.
func readTail(f io.ReaderAt, size int64) (tail, error) {
	t := tail{end: size}
	for window := int64(firstWindow); ; window *= 2 {
		from := max(0, size-window)
		text := make([]byte, size-from)
		if _, err := f.ReadAt(text, from); err != nil && !errors.Is(err, io.EOF) {
			return t, err
		}
		whole := bytes.LastIndexByte(text, '\n') + 1 // end of the last whole line
		start := bytes.LastIndexByte(text[:max(0, whole-1)], '\n') + 1
		if from > 0 && (whole == 0 || start == 0) {
			if window > 4*maxLine {
				return t, fmt.Errorf("its last line is longer than %d bytes; move the file away", maxLine)
			}
			continue
		}
		if whole > 0 {
			t.head = digest(text[start : whole-1])
		}
		if rest := text[whole:]; len(rest) > 0 {
			t.open = true
			t.torn = &torn{int64(len(rest)), strings.TrimPrefix(digest(rest), "sha256:")}
		}
		return t, nil
	}
}

// numbered is a full file.
type numbered struct {
	name   string
	number int
}

// rotated lists the full files, oldest first.
func rotated(dir *private.Dir) ([]numbered, error) {
	names, err := dir.Names()
	if err != nil {
		return nil, err
	}
	out := []numbered{}
	for _, name := range names {
		digits, ok := strings.CutPrefix(name, "decisions-")
		digits, isLog := strings.CutSuffix(digits, ".jsonl")
		if n, err := strconv.Atoi(digits); ok && isLog && err == nil && n > 0 {
			out = append(out, numbered{name, n})
		}
	}
	slices.SortFunc(out, func(a, b numbered) int { return a.number - b.number })
	return out, nil
}

// predecessor is the end of the newest full file.
func (l *Log) predecessor() (tail, error) {
	files, err := rotated(l.dir)
	if err != nil || len(files) == 0 {
		return tail{}, err
	}
	f, err := l.dir.OpenFile(files[len(files)-1].name)
	if err != nil {
		return tail{}, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return tail{}, err
	}
	return readTail(f, st.Size())
}

// Files are the paths of the log's files, oldest first; none when nothing was
// ever logged. It makes nothing.
func (l *Log) Files() ([]string, error) {
	if _, err := os.Lstat(l.Path()); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.open(); err != nil {
		return nil, err
	}
	files, err := rotated(l.dir)
	if err != nil {
		return nil, err
	}
	out := []string{}
	for _, f := range files {
		out = append(out, filepath.Join(l.dir.Path(), f.name))
	}
	current := filepath.Join(l.dir.Path(), Current)
	if _, err := os.Lstat(current); err == nil {
		out = append(out, current)
	}
	return out, nil
}
