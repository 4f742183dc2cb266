package conformance

import (
	"fmt"
	"regexp"
)

// Expect is what must be seen after a step. What is not mentioned is not looked
// at, with two exceptions: a launch that does not end with a backend must leave
// nothing behind, and a denial must have started nothing.
type Expect struct {
	Exit    *int   `yaml:"exit"`
	Outcome string `yaml:"outcome"`
	Code    string `yaml:"code"` // of the error

	Denials  []string `yaml:"denials"` // exactly these, in any order
	Contains []string `yaml:"denials_contain"`
	Lacks    []string `yaml:"denials_lack"`
	First    string   `yaml:"first_denial"`
	Warnings []string `yaml:"warnings"` // exactly these codes
	Waived   []string `yaml:"waived"`   // exactly these codes
	Binding  string   `yaml:"binding"`
	Policy   string   `yaml:"policy_mode"` // enforce or monitor

	Spawned   *int     `yaml:"spawned"`   // backends that have been started since the case began
	Alive     *int     `yaml:"alive"`     // of all their processes
	Sockets   *int     `yaml:"sockets"`   // in the endpoint directory
	Records   *int     `yaml:"records"`   // of backends
	RunDirs   *int     `yaml:"run_dirs"`  // private directories of backends
	States    []string `yaml:"states"`    // of ps, sorted
	Stopped   *int     `yaml:"stopped"`   // by stop
	Forced    *int     `yaml:"forced"`    // by stop
	SamePID   *bool    `yaml:"same_pid"`  // as the launch before
	Outcomes  []string `yaml:"outcomes"`  // of launches at once, sorted
	Endpoints *int     `yaml:"endpoints"` // distinct ones of launches at once
	Leaves    bool     `yaml:"leaves"`    // true: traces of a failed launch are allowed
	Process   *Process `yaml:"process"`   // what the backend, in the part print, saw
	Stdout    Text     `yaml:"stdout"`
	Stderr    Text     `yaml:"stderr"`
	Fields    Fields   `yaml:"fields"` // of the JSON document, by path
	Files     []Seen   `yaml:"files"`
	Log       *Log     `yaml:"log"`
	Reply     Text     `yaml:"reply"` // of do: connect, in hexadecimal digits
}

// Text is looked for in an output.
type Text struct {
	Has     []string `yaml:"has"`
	Lacks   []string `yaml:"lacks"`
	Matches []string `yaml:"matches"`
	Is      *string  `yaml:"is"`
	Golden  string   `yaml:"is_golden"` // the bytes of cases/golden/NAME.hex
}

// Fields maps paths such as "identity.pid" to what stands there. A text that
// begins with "~" is a regular expression; the value null stands for nothing.
type Fields map[string]any

// Process is what a backend saw of itself.
type Process struct {
	Env        map[string]string `yaml:"env"`
	EnvAbsent  []string          `yaml:"env_absent"`
	EnvLacks   []string          `yaml:"env_lacks"` // in no value
	EnvNames   []string          `yaml:"env_names"` // exactly these
	Args       []string          `yaml:"args"`      // after argv[0]
	Argv0      string            `yaml:"argv0"`
	Comm       string            `yaml:"comm"`
	Exe        string            `yaml:"exe"`
	Dir        string            `yaml:"dir"`
	NewSession bool              `yaml:"new_session"`
	NoTerminal bool              `yaml:"no_terminal"`
	// Descriptors are exactly these, with what they lead to.
	Descriptors map[int]string    `yaml:"descriptors"`
	Status      map[string]string `yaml:"status"` // of /proc/self/status; "~" as in Fields
}

// Seen is what must be true of a file of the tree.
type Seen struct {
	Path   string `yaml:"path"`
	Absent bool   `yaml:"absent"`
	Mode   string `yaml:"mode"`
	Text   Text   `yaml:"text"`
}

// Log is what must stand in the decision log.
type Log struct {
	Events []string `yaml:"events"` // their kinds, in order
	Has    []string `yaml:"has"`
	Lacks  []string `yaml:"lacks"`
}

func (e *Expect) check() error {
	var all []string
	for _, t := range []Text{e.Stdout, e.Stderr, e.Reply} {
		all = append(all, t.Matches...)
	}
	for path, v := range e.Fields {
		if s, ok := v.(string); ok && len(s) > 0 && s[0] == '~' {
			all = append(all, s[1:])
		}
		if path == "" {
			return fmt.Errorf("fields: an empty path")
		}
	}
	for _, expression := range all {
		if _, err := regexp.Compile(expression); err != nil {
			return err
		}
	}
	return nil
}
