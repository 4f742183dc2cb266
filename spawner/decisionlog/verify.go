package decisionlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// File is a log file to verify.
type File struct {
	Name string
	io.Reader
}

// Place is where something stands in a log.
type Place struct {
	File string `json:"file"`
	Line int    `json:"line"` // from 1
}

// Breach is a place where the log is not what was written.
type Breach struct {
	Place
	What string `json:"what"`
}

// Verification is what [Verify] found.
type Verification struct {
	// OK: no breach was found, and the head that was asked for is there.
	OK       bool     `json:"ok"`
	Lines    int      `json:"lines"` // whole ones
	Breaches []Breach `json:"breaches"`
	// Torn are lines that a crash left unfinished. They are no breach.
	Torn []Place `json:"torn"`
	// Begins: the first line is the first that was ever written. Otherwise older
	// files have been taken away, of which nothing is said.
	Begins bool `json:"begins"`
	// Head is the digest of the last whole line; "" of an empty log.
	Head string `json:"head"`
	// Proven is where the head that was asked for stands; nil without one. What
	// is after it follows from it, but its end can have been cut off.
	Proven *Place `json:"proven"`
	// After is how many lines follow the proven head.
	After int `json:"after"`
}

// maxBreaches is where verification stops: one wrong file makes them all.
const maxBreaches = 100

// ValidHead reports whether text has the form of a head: "sha256:" and 64
// lower-case hexadecimal digits.
func ValidHead(text string) bool {
	digits, ok := strings.CutPrefix(text, "sha256:")
	return ok && len(digits) == 64 && strings.Trim(digits, "0123456789abcdef") == ""
}

// Verify holds the files of one log, oldest first, against the digests that
// their lines carry, and looks for head when it is not "". An error means that a
// file could not be read; what is wrong in a file is a breach.
func Verify(files []File, head string) (*Verification, error) {
	v := &verifier{head: head, out: &Verification{Breaches: []Breach{}, Torn: []Place{}}}
	for _, f := range files {
		v.file = f.Name
		err := Lines(f, v.line)
		if errors.Is(err, errEnough) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	v.settle()
	out := v.out
	out.Head = v.last
	if head != "" && out.Proven == nil {
		v.breach(Place{v.file, 0}, "no line has the digest %s that was asked for: lines up to it were changed, or cut off", head)
	}
	out.OK = len(out.Breaches) == 0
	return out, nil
}

var errEnough = errors.New("enough was found")

type verifier struct {
	out  *Verification
	head string
	file string
	last string // digest of the last whole line
	// begun: a line has been taken; any first one is, with whatever it carries.
	begun   bool
	pending *pendingLine
}

// pendingLine waits for the next one, which says whether it was torn.
type pendingLine struct {
	Place
	Line
	digest string
}

// chained is what verification reads of an event.
type chained struct {
	Previous *string `json:"previous"`
	Torn     *Torn   `json:"torn"`
	Event    string  `json:"event"`
}

func (v *verifier) line(l Line) error {
	now := &pendingLine{Place{v.file, l.Number}, l, digest(l.Text)}
	var e chained
	if json.Unmarshal(l.Text, &e) == nil && e.Torn != nil && v.pending != nil {
		p := v.pending
		if p.digest == "sha256:"+e.Torn.SHA256 && int64(len(p.Text)) == e.Torn.Bytes {
			v.out.Torn = append(v.out.Torn, p.Place)
			v.pending = nil
		} else {
			v.settle()
			v.breach(now.Place, "it closes a torn line, and another one stands before it")
		}
	}
	v.settle()
	v.pending = now
	if len(v.out.Breaches) >= maxBreaches {
		return errEnough
	}
	return nil
}

// settle takes the pending line as a whole one.
func (v *verifier) settle() {
	p := v.pending
	if p == nil {
		return
	}
	v.pending = nil
	if p.Open {
		v.out.Torn = append(v.out.Torn, p.Place)
		return
	}
	v.out.Lines++
	if v.out.Proven != nil {
		v.out.After++
	}
	if p.digest == v.head && v.out.Proven == nil {
		v.out.Proven = &p.Place
	}
	before, begun := v.last, v.begun
	v.last, v.begun = p.digest, true
	var e chained
	err := json.Unmarshal(p.Text, &e)
	switch {
	case err != nil || e.Previous == nil || (e.Event != KindDecision && e.Event != KindOutcome):
		v.breach(p.Place, "it is no event of a decision log")
	case !begun:
		v.out.Begins = *e.Previous == ""
	case *e.Previous != before:
		v.breach(p.Place, "it follows a line with the digest %s, and the line before it has %s: one of them was changed, or lines were removed, inserted or moved", shown(*e.Previous), before)
	}
}

func shown(head string) string {
	if head == "" {
		return "none (it was the first of all)"
	}
	if !ValidHead(head) {
		return fmt.Sprintf("%.80q", head)
	}
	return head
}

func (v *verifier) breach(at Place, format string, args ...any) {
	v.out.Breaches = append(v.out.Breaches, Breach{at, fmt.Sprintf(format, args...)})
}
