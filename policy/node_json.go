package policy

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// parseJSON reads exactly one JSON value without repeated keys. Sites list a
// hundred thousand digests, so that plain text is taken as it stands; what is
// not plain, encoding/json reads.
func parseJSON(text []byte) (*node, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("the file is not valid UTF-8")
	}
	p := &jsonParser{text: string(text), line: 1}
	n, err := p.value(0)
	if err != nil {
		return nil, err
	}
	if p.space(); p.at < len(p.text) {
		return nil, errors.New("the file holds more than one value; keep one")
	}
	return n, nil
}

type jsonParser struct {
	text string
	at   int
	line int // of text[at]
	free []node
}

func (p *jsonParser) node(kind string) *node {
	if len(p.free) == 0 {
		p.free = make([]node, 128)
	}
	n := &p.free[0]
	p.free = p.free[1:]
	n.kind, n.line = kind, p.line
	return n
}

// space passes what stands between tokens, and gives the byte after it; 0 is the
// end.
func (p *jsonParser) space() byte {
	for ; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; c {
		case '\n':
			p.line++
		case ' ', '\t', '\r':
		default:
			return c
		}
	}
	return 0
}

// syntax is the error of the token that begins at p.at.
func (p *jsonParser) syntax(want string) error {
	if p.at >= len(p.text) {
		return lineError(p.line, "%w", io.ErrUnexpectedEOF)
	}
	r, _ := utf8.DecodeRuneInString(p.text[p.at:])
	return lineError(p.line, "invalid character %s looking for %s", strconv.QuoteRune(r), want)
}

func (p *jsonParser) value(depth int) (*node, error) {
	switch c := p.space(); {
	case c == '{' || c == '[':
		if depth > maxDepth {
			return nil, lineError(p.line, "nested deeper than %d", maxDepth)
		}
		if p.at++; c == '{' {
			return p.object(depth)
		}
		return p.array(depth)
	case c == '"':
		text, err := p.quoted()
		n := p.node("string")
		n.text = text
		return n, err
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	}
	for word, kind := range map[string]string{"true": "boolean", "false": "boolean", "null": "null"} {
		if strings.HasPrefix(p.text[p.at:], word) {
			n := p.node(kind)
			if p.at += len(word); kind == "boolean" {
				n.text = word
			}
			return n, nil
		}
	}
	return nil, p.syntax("the beginning of a value")
}

// quoted reads a string.
func (p *jsonParser) quoted() (string, error) {
	from := p.at
	plain := true
	for p.at++; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; {
		case c == '"':
			p.at++
			if plain {
				return p.text[from+1 : p.at-1], nil
			}
			var out string
			if err := json.Unmarshal([]byte(p.text[from:p.at]), &out); err != nil {
				return "", lineError(p.line, "%w", err)
			}
			return out, nil
		case c == '\\':
			plain = false
			p.at++
		case c < ' ':
			return "", p.syntax("the end of a string")
		}
	}
	p.at = len(p.text)
	return "", p.syntax("the end of a string")
}

func (p *jsonParser) number() (*node, error) {
	from := p.at
	for p.at < len(p.text) && strings.IndexByte("+-.0123456789Ee", p.text[p.at]) >= 0 {
		p.at++
	}
	n := p.node("number")
	if n.text = p.text[from:p.at]; !json.Valid([]byte(n.text)) {
		return nil, lineError(p.line, "invalid number %.40q", n.text)
	}
	if _, err := strconv.ParseInt(n.text, 10, 64); err == nil {
		n.kind = "integer"
	}
	return n, nil
}

func (p *jsonParser) object(depth int) (*node, error) {
	n := p.node("object")
	if p.space() == '}' {
		p.at++
		return n, nil
	}
	for {
		if p.space() != '"' {
			return nil, p.syntax("the beginning of a key")
		}
		line := p.line
		name, err := p.quoted()
		if err != nil {
			return nil, err
		}
		if p.space() != ':' {
			return nil, p.syntax("':'")
		}
		p.at++
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if len(n.members) == cap(n.members) { // a long list is not copied more than once
			n.members = slices.Grow(n.members, len(n.members)+1)
		}
		n.members = append(n.members, member{name, line, v})
		switch p.space() {
		case ',':
			p.at++
		case '}':
			p.at++
			return n, n.unique()
		default:
			return nil, p.syntax("',' or '}'")
		}
	}
}

// unique demands that no key is repeated.
func (n *node) unique() error {
	rising := true
	for i := 1; i < len(n.members) && rising; i++ {
		rising = n.members[i-1].name < n.members[i].name
	}
	if rising {
		return nil
	}
	seen := make(map[string]struct{}, len(n.members))
	for _, m := range n.members {
		if _, ok := seen[m.name]; ok {
			return lineError(m.line, "the key %q is repeated", m.name)
		}
		seen[m.name] = struct{}{}
	}
	return nil
}

func (p *jsonParser) array(depth int) (*node, error) {
	n := p.node("array")
	if p.space() == ']' {
		p.at++
		return n, nil
	}
	for {
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		n.items = append(n.items, v)
		switch p.space() {
		case ',':
			p.at++
		case ']':
			p.at++
			return n, nil
		default:
			return nil, p.syntax("',' or ']'")
		}
	}
}
