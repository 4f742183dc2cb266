package wasm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits of a reply.
const (
	MaxReply   = 64 << 10 // bytes of the whole
	MaxValue   = 32 << 10 // bytes of one value
	MaxChanges = 256      // names set and unset

	maxText     = 1 << 10 // bytes of a name, a warning or a message
	maxWarnings = 64
)

// Reply is what a hook proposes.
type Reply struct {
	V        int               `json:"v"`
	Set      map[string]string `json:"set,omitempty"`
	Unset    []string          `json:"unset,omitempty"`
	Warnings []string          `json:"warnings,omitempty"`
	Reject   *Rejection        `json:"reject,omitempty"`
}

// Rejection is a hook's decision against the launch.
type Rejection struct {
	// Code is the hook's own: lower-case letters, digits and '_'.
	Code    string `json:"code"`
	Message string `json:"message"`
}

var (
	namePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	codePattern = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
)

// ParseReply reads one reply strictly: exactly one JSON object in valid UTF-8,
// no unknown field, no duplicate key, nothing after it, and every limit kept.
// Text of the reply stands in errors only quoted.
func ParseReply(data []byte) (Reply, error) {
	var r Reply
	if len(bytes.TrimSpace(data)) == 0 {
		return Reply{}, errors.New("it wrote no reply; it must write one JSON object to standard output")
	}
	if len(data) > MaxReply {
		return Reply{}, fmt.Errorf("its reply is longer than %d bytes", MaxReply)
	}
	if !utf8.Valid(data) {
		return Reply{}, errors.New("its reply is not valid UTF-8")
	}
	p := parser{json.NewDecoder(bytes.NewReader(data))}
	p.UseNumber()
	if err := p.reply(&r); err != nil {
		return Reply{}, fmt.Errorf("its reply, at byte %d: %w", p.InputOffset(), err)
	}
	if _, err := p.Token(); !errors.Is(err, io.EOF) {
		return Reply{}, errors.New("something follows its reply; it must write one JSON object and nothing else")
	}
	if err := r.valid(); err != nil {
		return Reply{}, fmt.Errorf("its reply: %w", err)
	}
	return r, nil
}

// parser reads the one form that a reply has. It never descends further than
// that form does, however deep the text is nested.
type parser struct{ *json.Decoder }

func (p parser) reply(r *Reply) error {
	return p.object(func(key string) (err error) {
		switch key {
		case "v":
			r.V, err = p.version()
		case "set":
			r.Set = map[string]string{}
			err = p.object(func(name string) (err error) {
				if len(r.Set) >= MaxChanges {
					return fmt.Errorf("more than %d changes", MaxChanges)
				}
				r.Set[name], err = p.text()
				return err
			})
		case "unset":
			r.Unset, err = p.texts(MaxChanges)
		case "warnings":
			r.Warnings, err = p.texts(maxWarnings)
		case "reject":
			r.Reject = &Rejection{}
			err = p.rejection(r.Reject)
		default:
			err = unknown(key)
		}
		return err
	})
}

func (p parser) rejection(r *Rejection) error {
	return p.object(func(key string) (err error) {
		switch key {
		case "code":
			r.Code, err = p.text()
		case "message":
			r.Message, err = p.text()
		default:
			err = unknown(key)
		}
		return err
	})
}

func unknown(key string) error {
	return fmt.Errorf("the field %s does not exist", quote(key))
}

func (p parser) delim(want json.Delim) error {
	t, err := p.Token()
	if err != nil {
		return syntax(err)
	}
	if t != want {
		return fmt.Errorf("%q is expected", want.String())
	}
	return nil
}

// object calls value for every key, each of which may stand once.
func (p parser) object(value func(key string) error) error {
	if err := p.delim('{'); err != nil {
		return err
	}
	seen := map[string]bool{}
	for p.More() {
		key, err := p.text()
		if err != nil {
			return err
		}
		if seen[key] {
			return fmt.Errorf("the key %s stands twice", quote(key))
		}
		seen[key] = true
		if err := value(key); err != nil {
			return err
		}
	}
	return p.delim('}')
}

func (p parser) texts(limit int) ([]string, error) {
	if err := p.delim('['); err != nil {
		return nil, err
	}
	list := []string{}
	for p.More() {
		if len(list) >= limit {
			return nil, fmt.Errorf("more than %d items", limit)
		}
		s, err := p.text()
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, p.delim(']')
}

func (p parser) text() (string, error) {
	t, err := p.Token()
	if err != nil {
		return "", syntax(err)
	}
	s, ok := t.(string)
	if !ok {
		return "", errors.New("a string is expected")
	}
	// What an escape cannot express is replaced without a word.
	if strings.ContainsRune(s, utf8.RuneError) {
		return "", errors.New("a string holds half of a surrogate pair or U+FFFD")
	}
	return s, nil
}

func (p parser) version() (int, error) {
	t, err := p.Token()
	if err != nil {
		return 0, syntax(err)
	}
	if n, ok := t.(json.Number); !ok || n.String() != "1" {
		return 0, errors.New("v must be the number 1")
	}
	return 1, nil
}

// syntax drops the text of a JSON error, which shows the guest's bytes.
func syntax(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it ends in the middle of the object")
	}
	return errors.New("it is not valid JSON")
}

func (r *Reply) valid() error {
	if r.V != 1 {
		return errors.New("v is missing; it must be 1")
	}
	if n := len(r.Set) + len(r.Unset); n > MaxChanges {
		return fmt.Errorf("it changes %d names, at most %d are allowed", n, MaxChanges)
	}
	for i, name := range r.Unset {
		if _, both := r.Set[name]; both || slices.Contains(r.Unset[:i], name) {
			return fmt.Errorf("the name %s is changed twice", quote(name))
		}
		if err := validName(name); err != nil {
			return err
		}
	}
	for name, value := range r.Set {
		if err := validName(name); err != nil {
			return err
		}
		if len(value) > MaxValue || strings.ContainsRune(value, 0) {
			return fmt.Errorf("the value of %s has %d bytes or a NUL; at most %d and none are allowed", name, len(value), MaxValue)
		}
	}
	for _, w := range r.Warnings {
		if len(w) > maxText {
			return fmt.Errorf("a warning is longer than %d bytes", maxText)
		}
	}
	if r.Reject == nil {
		return nil
	}
	if len(r.Reject.Code) > 64 || !codePattern.MatchString(r.Reject.Code) {
		return fmt.Errorf("the code of a rejection is %s; use at most 64 lower-case letters, digits and '_'", quote(r.Reject.Code))
	}
	if len(r.Reject.Message) > maxText {
		return fmt.Errorf("the message of a rejection is longer than %d bytes", maxText)
	}
	return nil
}

func validName(name string) error {
	if len(name) > maxText || !namePattern.MatchString(name) {
		return fmt.Errorf("the name %s is not of letters, digits and '_', or longer than %d bytes", quote(name), maxText)
	}
	return nil
}

// quote makes a guest's text harmless and short.
func quote(s string) string {
	if len(s) > 64 {
		s = s[:64] + "…"
	}
	return fmt.Sprintf("%+q", s)
}
