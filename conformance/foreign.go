package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// ProtocolVersion is that of [Request] and [Answer].
const ProtocolVersion = 1

// Request is what the suite writes to another launcher's standard input: one
// JSON object, then the end of the input. The program is started anew for every
// request, with the environment that a user of the launcher would have:
// XDG_STATE_HOME, XDG_RUNTIME_DIR, HOME and PATH are the case's own.
// schema/request.json fixes the form.
type Request struct {
	Protocol  int    `json:"protocol"`  // [ProtocolVersion]
	Operation string `json:"operation"` // launch, check, ps, probe or stop
	// Service and Version name the backend; Version is "" when the request leaves
	// it open.
	Service string `json:"service"`
	Version string `json:"version"`
	// ServicesDir holds the definitions, NAME.yaml each.
	ServicesDir string `json:"services_dir"`
	// PolicyDir is a site on top of the embedded library; "" is the library alone.
	PolicyDir string `json:"policy_dir"`
	// StateDir and RuntimeDir are for what the launcher keeps; every request of a
	// case has the same.
	StateDir   string  `json:"state_dir"`
	RuntimeDir string  `json:"runtime_dir"`
	UserHash   string  `json:"user_hash"`
	Trace      Context `json:"trace"`
}

// Context is the trace context of a request; fields are empty when there is none.
type Context struct {
	Traceparent string `json:"traceparent"`
	Tracestate  string `json:"tracestate"`
	RequestID   string `json:"request_id"`
}

// Answer is what the other launcher writes to its standard output: one JSON
// object. It ends with status 0 even when it denied the launch; another status is
// the program's own failure and fails the case. schema/answer.json fixes the form.
type Answer struct {
	Protocol int `json:"protocol"` // [ProtocolVersion]
	// Unsupported says why the launcher cannot do what is asked at all; the case is
	// then skipped with this reason. Leave it out for what was tried and failed.
	Unsupported string `json:"unsupported,omitempty"`
	// Result is what spawnward prints with --output json for the same operation: for
	// launch and check an object with outcome, identity, decision and error, for ps
	// and probe records with state, for stop the lists stopped and forced. Only
	// what a case expects is looked at.
	Result json.RawMessage `json:"result,omitempty"`
}

// maxAnswer bounds an answer, in bytes.
const maxAnswer = 16 << 20

type foreign struct{ command []string }

func (f foreign) ask(ctx context.Context, r request, started func(int)) (*result, error) {
	service, version, _ := strings.Cut(r.ref, "@")
	question, err := json.Marshal(Request{
		Protocol: ProtocolVersion, Operation: r.verb, Service: service, Version: version,
		ServicesDir: r.t.services(), PolicyDir: r.policy, StateDir: r.t.stateHome(), RuntimeDir: r.t.runtime(), UserHash: userHash,
		Trace: Context{Traceparent: r.step.Trace.Parent, Tracestate: r.step.Trace.State, RequestID: r.step.Trace.RequestID},
	})
	if err != nil {
		return nil, err
	}
	step := *r.step
	step.Stdin = string(question)
	r.step = &step
	out, err := run(ctx, r, f.command[0], f.command[1:], started)
	if err != nil {
		return nil, err
	}
	if out.exit != 0 {
		return nil, fmt.Errorf("the launcher ended with status %d and said: %s", out.exit, short(out.stderr))
	}
	return f.read(out)
}

func (f foreign) read(out *result) (*result, error) {
	if len(out.stdout) > maxAnswer {
		return nil, fmt.Errorf("the launcher's answer has more than %d bytes", maxAnswer)
	}
	d := json.NewDecoder(bytes.NewReader([]byte(out.stdout)))
	d.DisallowUnknownFields()
	var a Answer
	if err := d.Decode(&a); err != nil {
		return nil, fmt.Errorf("the launcher's answer is not of the form in schema/answer.json: %w: %s", err, short(out.stdout))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("the launcher wrote more than one answer")
	}
	switch {
	case a.Protocol != ProtocolVersion:
		return nil, fmt.Errorf("the launcher answers in version %d of the protocol, not %d", a.Protocol, ProtocolVersion)
	case a.Unsupported != "":
		return nil, notSupported(a.Unsupported)
	case a.Result == nil:
		return nil, errors.New("the launcher's answer has neither result nor unsupported")
	}
	// There is no exit status to judge: what succeeded is said by the outcome.
	r := &result{stdout: string(a.Result), stderr: out.stderr}
	r.decode()
	if r.doc == nil {
		return nil, fmt.Errorf("the launcher's result is no JSON document: %s", short(r.stdout))
	}
	if o := r.outcome(); o != "" && !slices.Contains([]string{"launched", "reused", "allowed"}, o) {
		r.exit = 1
	}
	return r, nil
}

// Command splits a command line at its blanks; 'single' and "double" quotes keep
// words together.
func Command(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	quote, inWord := rune(0), false
	for _, c := range line {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(c)
		case c == '\'' || c == '"':
			quote, inWord = c, true
		case c == ' ' || c == '\t':
			if inWord {
				words = append(words, word.String())
				word.Reset()
			}
			inWord = false
		default:
			word.WriteRune(c)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("a quote %c is not closed", quote)
	}
	if inWord {
		words = append(words, word.String())
	}
	if len(words) == 0 {
		return nil, errors.New("it is empty")
	}
	return words, nil
}
