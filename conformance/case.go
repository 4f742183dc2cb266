package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Case is one promise and what shows whether it holds. Its form as a file is
// fixed by schema/case.json and described in README.md.
type Case struct {
	// ID is unique; a file is named <ID>.yaml.
	ID string `yaml:"id"`
	// Requires lists what fails when the case fails: ids of requirements ("O-06")
	// and codes of the one table.
	Requires []string `yaml:"requires"`
	// Title is the promise as a sentence.
	Title string `yaml:"title"`
	// Needs lists what must be there; without it the case is skipped.
	Needs []string `yaml:"needs"`

	Setup     Setup             `yaml:"setup"`
	Service   map[string]any    `yaml:"service"`
	Others    []map[string]any  `yaml:"others"`    // further definitions
	Undefined bool              `yaml:"undefined"` // there is no definition
	Part      string            `yaml:"part"`      // of the scripted backend
	As        int               `yaml:"as"`        // run as this user and group; needs root
	Policy    *Policy           `yaml:"policy"`
	Env       map[string]string `yaml:"env"` // of the launcher

	// One launch, or several steps.
	Request *Step   `yaml:"request"`
	Expect  *Expect `yaml:"expect"`
	Steps   []Step  `yaml:"steps"`

	// File is where the case stands below the directory of cases.
	File string `yaml:"-"`
}

// Setup is the private tree of a case.
type Setup struct {
	Files  []File  `yaml:"files"`
	Mounts []Mount `yaml:"mounts"`
}

// File is made below the tree; exactly one of From, Content, Hex, Golden, Link,
// Hard, Dir, Fifo and Sparse says what it is.
type File struct {
	Path    string  `yaml:"path"`
	From    string  `yaml:"from"`   // backend, elf, or a path
	Interp  string  `yaml:"interp"` // of elf: the loader it asks for
	Content *string `yaml:"content"`
	Hex     string  `yaml:"hex"`
	Golden  string  `yaml:"golden"` // a file of cases/golden, in hexadecimal digits
	Link    string  `yaml:"link"`
	Hard    string  `yaml:"hard"`
	Dir     bool    `yaml:"dir"`
	Fifo    bool    `yaml:"fifo"`
	Sparse  int64   `yaml:"sparse"` // bytes
	Append  string  `yaml:"append"` // to what From gives: another digest
	Mode    string  `yaml:"mode"`
	UID     *int    `yaml:"uid"`
	GID     *int    `yaml:"gid"`
	Caps    bool    `yaml:"caps"`   // file capabilities
	Remove  bool    `yaml:"remove"` // in a step: take it away
	Rename  string  `yaml:"rename"` // in a step: give it this name
	// Replace is, in a step, an expression and what to put in its place, in every
	// file that the pattern Path fits.
	Replace []string `yaml:"replace"`
	Touch   bool     `yaml:"touch"` // in a step: write its own first byte again
	// Verbatim keeps the suite's own names in Content.
	Verbatim bool `yaml:"verbatim"`
}

// Mount is a file system that the launcher alone sees, mounted below the tree
// or at an absolute path.
type Mount struct {
	Path  string   `yaml:"path"`
	Type  string   `yaml:"type"` // tmpfs, overlay, bind
	From  string   `yaml:"from"` // of bind: a path of the tree
	Flags []string `yaml:"flags"`
	Data  string   `yaml:"data"`
	// IfThere leaves the mount out where there is nothing to hide.
	IfThere bool `yaml:"if_there"`
}

// Policy is a site.
type Policy struct {
	Data  map[string]any    `yaml:"data"`
	Raw   string            `yaml:"raw"` // data.yaml as a text
	Rego  map[string]string `yaml:"rego"`
	Files []File            `yaml:"files"`
}

// Step is one thing that a case does; Do says which. What a field belongs to
// stands beside it; the others ignore it.
type Step struct {
	Do string `yaml:"do"` // see README.md

	// Of launch, check, exec, ps, probe and stop.
	Service    *string           `yaml:"service"`  // demo when it is not given
	Version    *string           `yaml:"version"`  // 1.2.3; "" asks without one
	Services   []string          `yaml:"services"` // of launches at once, in turn
	ByFlags    bool              `yaml:"by_flags"` // the definition is given on the command line
	Trace      Trace             `yaml:"trace"`
	Flags      []string          `yaml:"flags"` // of the command
	Text       bool              `yaml:"text"`  // printed for people, not as JSON
	NoUserHash bool              `yaml:"no_user_hash"`
	Env        map[string]string `yaml:"env"`
	AtOnce     int               `yaml:"at_once"`
	Times      int               `yaml:"times"`
	Stdout     string            `yaml:"stdout"`  // a device that standard output goes to
	Inherit    bool              `yaml:"inherit"` // the launcher has descriptors 3 to 9 open
	Cancel     string            `yaml:"cancel"`  // a signal for the launcher once a backend runs
	Fault      *Fault            `yaml:"fault"`

	// Of command.
	Command []string `yaml:"command"` // the arguments of the program
	Program string   `yaml:"program"` // another copy of the program, below the tree
	Stdin   string   `yaml:"stdin"`
	SaveAs  string   `yaml:"save_as"` // keep standard output in this file of the tree

	Files   []File  `yaml:"files"`   // of change
	Signal  string  `yaml:"signal"`  // of signal: for every process of the case
	Gone    bool    `yaml:"gone"`    // of signal: wait until they have ended
	Send    string  `yaml:"send"`    // of connect: hexadecimal digits, or golden:NAME
	Receive int     `yaml:"receive"` // of connect: at least so many bytes
	Expect  *Expect `yaml:"expect"`
}

// Trace is the trace context of a request.
type Trace struct {
	Parent    string `yaml:"traceparent"`
	State     string `yaml:"tracestate"`
	RequestID string `yaml:"request_id"`
}

// Fault is what a build with the tag faults does at a named step.
type Fault struct {
	At     string `yaml:"at"`
	Kill   bool   `yaml:"kill"`   // the launcher dies there
	Change []File `yaml:"change"` // made while the launcher waits there
	Again  bool   `yaml:"again"`  // and every time it comes there again
	Mutant string `yaml:"mutant"` // a switch, as in the tests of mutants
}

// Decode reads one case. Unknown fields and a second document are errors.
func Decode(data []byte) (*Case, error) {
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	var c Case
	if err := d.Decode(&c); err != nil {
		return nil, err
	}
	if err := d.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, errors.New("it must hold one document")
	}
	return &c, c.check()
}

func (c *Case) check() error {
	switch {
	case !regexp.MustCompile(`^[A-Za-z0-9_]+(-[a-z0-9_]+)*$`).MatchString(c.ID):
		return fmt.Errorf("id %q is not of letters, digits and '-'", c.ID)
	case len(c.Requires) == 0:
		return errors.New("requires is empty: a case that shows nothing is of no use")
	case strings.TrimSpace(c.Title) == "":
		return errors.New("title is missing")
	case len(c.Steps) > 0 && (c.Request != nil || c.Expect != nil):
		return errors.New("it has steps as well as request and expect; write one or the other")
	case len(c.Steps) == 0 && c.Expect == nil:
		return errors.New("it expects nothing")
	}
	for _, n := range c.Needs {
		if !slices.Contains(needs(), n) {
			return fmt.Errorf("needs: %q is not one of %s", n, strings.Join(needs(), ", "))
		}
	}
	if len(c.Steps) == 0 {
		s := Step{Do: "launch"}
		if c.Request != nil {
			s = *c.Request
		}
		if s.Do == "" {
			s.Do = "launch"
		}
		s.Expect = c.Expect
		c.Steps, c.Request, c.Expect = []Step{s}, nil, nil
	}
	expects := false
	for i := range c.Steps {
		s := &c.Steps[i]
		if !slices.Contains(verbs(), s.Do) {
			return fmt.Errorf("step %d: do: %q is not one of %s", i+1, s.Do, strings.Join(verbs(), ", "))
		}
		expects = expects || s.Expect != nil
		if s.Expect != nil {
			if err := s.Expect.check(); err != nil {
				return fmt.Errorf("step %d: %w", i+1, err)
			}
		}
	}
	if !expects {
		return errors.New("it expects nothing")
	}
	return nil
}

func verbs() []string {
	return []string{"launch", "check", "exec", "ps", "probe", "stop", "command", "change", "signal", "connect"}
}

// faulty reports whether the case can be shown only by a build with faults.
func (c *Case) faulty() bool {
	return slices.ContainsFunc(c.Steps, func(s Step) bool { return s.Fault != nil })
}

// ownCommand reports whether the case is about the command itself, not about what any
// launcher can do.
func (c *Case) ownCommand() bool {
	return slices.ContainsFunc(c.Steps, func(s Step) bool {
		return s.Do == "command" || s.Do == "exec" || len(s.Flags) > 0 || s.Program != "" || s.Stdout != "" || s.Text || s.ByFlags || s.NoUserHash || s.Inherit || s.Cancel != ""
	})
}
