package decisionlog

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
)

// Entry is one event as it is read back.
type Entry struct {
	Previous   string    `json:"previous"`
	Torn       *Torn     `json:"torn,omitempty"`
	Event      string    `json:"event"`
	DecisionID string    `json:"decision_id"`
	Timestamp  time.Time `json:"timestamp"`
	Service    string    `json:"service"`
	Version    string    `json:"version"`
	Instance   string    `json:"instance"`
	Error      *Problem  `json:"error,omitempty"`

	// Of a decision. Input is an [admission.Input] without values of variables,
	// which Erased lists, and Result an [admission.Decision]; both as they stand.
	Digest  string             `json:"digest,omitempty"`
	Verdict string             `json:"verdict,omitempty"`
	Codes   []code.Code        `json:"codes,omitempty"`
	Policy  admission.PolicyID `json:"policy,omitzero"`
	Caller  Caller             `json:"caller,omitzero"`
	Input   json.RawMessage    `json:"input,omitempty"`
	Result  json.RawMessage    `json:"result,omitempty"`
	Erased  []string           `json:"erased,omitempty"`

	// Of an outcome.
	Outcome     string            `json:"outcome,omitempty"`
	PID         int               `json:"pid,omitempty"`
	Binding     admission.Binding `json:"binding,omitempty"`
	DurationsUS map[string]int64  `json:"durations_us,omitempty"`
}

// Torn describes what stood before a line and had no end.
type Torn struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // 64 hexadecimal digits
}

// Line is one line of a log file, without its end.
type Line struct {
	Number int // from 1
	Text   []byte
	// Open: the file ends inside this line.
	Open bool
}

// Lines calls each for every line of a file, until it returns an error. The
// text is each's to keep. A line above 16 MiB is an error.
func Lines(r io.Reader, each func(Line) error) error {
	in := bufio.NewReaderSize(r, 64<<10)
	for n := 1; ; n++ {
		var text []byte
		open := false
		for {
			part, err := in.ReadSlice('\n')
			text = append(text, part...)
			if len(text) > maxLine+1 {
				return fmt.Errorf("line %d is longer than %d bytes", n, maxLine)
			}
			if err == nil {
				text = text[:len(text)-1]
				break
			}
			if errors.Is(err, bufio.ErrBufferFull) {
				continue
			}
			if !errors.Is(err, io.EOF) {
				return err
			}
			if len(text) == 0 {
				return nil
			}
			open = true
			break
		}
		if err := each(Line{n, text, open}); err != nil || open {
			return err
		}
	}
}

// Parse reads one line as an event. Members that it does not know are passed
// over: a later release may write more.
func Parse(text []byte) (*Entry, error) {
	var e Entry
	dec := json.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(&e); err != nil {
		return nil, fmt.Errorf("it is no event: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("it is no event: something follows it")
	}
	if e.Event != KindDecision && e.Event != KindOutcome {
		return nil, fmt.Errorf("it is no event: its kind is %q", e.Event)
	}
	if e.Event == KindDecision && e.Input == nil {
		return nil, errors.New("it is a decision without its input")
	}
	return &e, nil
}
