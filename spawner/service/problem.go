package service

import (
	"errors"
	"fmt"
)

// maxProblems bounds how many problems of one definition are listed.
const maxProblems = 20

// Problem is one thing that is wrong with a definition.
type Problem struct {
	// Line is the line in the file, from 1; 0 when it is not known.
	Line int
	// Field is the path of the field, such as "launch.files[0].name"; empty for
	// the definition as a whole.
	Field string
	// Message says what is wrong and what to write instead.
	Message string
}

// Error gives "line N: field: message".
func (p *Problem) Error() string {
	s := p.Message
	if p.Field != "" {
		s = p.Field + ": " + s
	}
	if p.Line > 0 {
		s = fmt.Sprintf("line %d: %s", p.Line, s)
	}
	return s
}

// problems collects what is wrong, up to maxProblems.
type problems struct {
	list []error
	more int
}

func (ps *problems) add(line int, field, format string, args ...any) {
	if len(ps.list) >= maxProblems {
		ps.more++
		return
	}
	ps.list = append(ps.list, &Problem{Line: line, Field: field, Message: fmt.Sprintf(format, args...)})
}

func (ps *problems) err() error {
	if ps.more > 0 {
		return errors.Join(append(ps.list, fmt.Errorf("and %d more", ps.more))...)
	}
	return errors.Join(ps.list...)
}
