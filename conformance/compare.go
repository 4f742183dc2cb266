package conformance

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func (p *play) miss(format string, args ...any) {
	p.seen = append(p.seen, fmt.Sprintf(format, args...))
}

// compare notes everything that is not as the step expects.
func (p *play) compare(s *Step) {
	e := s.Expect
	if e == nil {
		e = &Expect{}
	}
	for _, r := range p.last {
		if e.Outcomes == nil {
			p.compareAnswer(e, r)
		}
	}
	if len(p.last) > 1 {
		p.compareMany(e)
	}
	p.compareTraces(s, e)
	if e.Process != nil {
		p.compareProcess(e.Process)
	}
	for _, f := range e.Files {
		p.compareFile(f)
	}
}

func (p *play) compareAnswer(e *Expect, r *result) {
	before := len(p.seen)
	if e.Exit != nil && r.judged && r.exit != *e.Exit {
		p.miss("exit %d, not %d", r.exit, *e.Exit)
	}
	same := func(what, got, want string) {
		if want != "" && got != want {
			p.miss("%s %q, not %q", what, got, want)
		}
	}
	same("outcome", r.outcome(), e.Outcome)
	same("error code", r.code(), e.Code)
	same("binding", r.text("binding"), e.Binding)
	same("mode", r.text("decision.mode"), e.Policy)
	denials := r.denials()
	p.sameCodes("denials", denials, e.Denials)
	for _, want := range e.Contains {
		if !slices.Contains(denials, want) {
			p.miss("denials %v lack %s", denials, want)
		}
	}
	for _, unwanted := range e.Lacks {
		if slices.Contains(denials, unwanted) {
			p.miss("denials %v have %s", denials, unwanted)
		}
	}
	if e.First != "" && (len(denials) == 0 || denials[0] != e.First) {
		p.miss("denials %v do not begin with %s", denials, e.First)
	}
	p.sameCodes("warnings", r.codes("decision.warnings"), e.Warnings)
	p.sameCodes("waived", r.codes("decision.waived"), e.Waived)
	if e.States != nil {
		p.sameCodes("states", r.each("state"), e.States)
	}
	count := func(what string, want *int) {
		if list, _ := r.at(what).([]any); want != nil && len(list) != *want {
			p.miss("%s: %d, not %d", what, len(list), *want)
		}
	}
	count("stopped", e.Stopped)
	count("forced", e.Forced)
	p.compareText("standard output", r.stdout, e.Stdout)
	p.compareText("standard error", r.stderr, e.Stderr)
	p.compareText("reply", r.stdout, e.Reply)
	p.compareFields(r, e.Fields)
	if e.SamePID != nil && (p.lastPID == p.prevPID) != *e.SamePID {
		p.miss("pid %d after %d", p.lastPID, p.prevPID)
	}
	if len(p.seen) > before {
		p.miss("it said: %s", r.words())
	}
}

// each collects a text field of every element of a list, or of one object.
func (r *result) each(field string) []string {
	list, ok := r.doc.([]any)
	if !ok && r.doc != nil {
		list = []any{r.doc}
	}
	out := []string{}
	for _, item := range list {
		s, _ := lookUp(item, field).(string)
		out = append(out, s)
	}
	return out
}

// words is what a launcher said, short enough for a report.
func (r *result) words() string {
	w := fmt.Sprintf("exit %d", r.exit)
	if c := r.code(); c != "" {
		w += ", " + c + ": " + r.text("error.message")
	}
	if d := r.denials(); len(d) > 0 {
		w += fmt.Sprintf(", denials %v", d)
	}
	if s := strings.TrimSpace(r.stderr); s != "" {
		w += "; standard error: " + s
	}
	if r.doc == nil && strings.TrimSpace(r.stdout) != "" {
		w += "; standard output: " + strings.TrimSpace(r.stdout)
	}
	const enough = 1500
	if len(w) > enough {
		w = w[:enough] + "…"
	}
	return strings.ToValidUTF8(w, "?")
}

// sameCodes compares without regard to order; nil expects nothing.
func (p *play) sameCodes(what string, got, want []string) {
	if want == nil {
		return
	}
	a, b := slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	if !slices.Equal(a, b) {
		p.miss("%s %v, not %v", what, a, b)
	}
}

func (p *play) compareText(what, got string, want Text) {
	if want.Is != nil && got != p.text(*want.Is) {
		p.miss("%s is %q, not %q", what, short(got), *want.Is)
	}
	if want.Golden != "" {
		golden, err := unhex(p.hexText("golden:" + want.Golden))
		if err != nil || got != string(golden) {
			p.miss("%s is %x, not the bytes of %s.hex", what, short(got), want.Golden)
		}
	}
	for _, s := range want.Has {
		if !strings.Contains(got, p.text(s)) {
			p.miss("%s lacks %q", what, s)
		}
	}
	for _, s := range want.Lacks {
		if strings.Contains(got, p.text(s)) {
			p.miss("%s has %q", what, s)
		}
	}
	for _, s := range want.Matches {
		if !p.matches(s, got) {
			p.miss("%s does not match %q", what, s)
		}
	}
}

// matches is false, and noted, for an expression that is none.
func (p *play) matches(expression, s string) bool {
	re, err := regexp.Compile(p.text(expression))
	if err != nil {
		p.miss("the case has a wrong expression: %v", err)
		return false
	}
	return re.MatchString(s)
}

func short(s string) string {
	if len(s) > 400 {
		return s[:400] + "…"
	}
	return s
}

func (p *play) compareFields(r *result, want Fields) {
	for _, path := range sortedKeys(want) {
		if got := r.at(path); !p.equal(got, want[path]) {
			text, _ := json.Marshal(got)
			p.miss("%s is %s, not %v", path, short(string(text)), want[path])
		}
	}
}

// equal compares what JSON gave with what YAML gave.
func (p *play) equal(got, want any) bool {
	if s, ok := want.(string); ok {
		s = p.text(s)
		text, isText := got.(string)
		if expression, isExpression := strings.CutPrefix(s, "~"); isExpression {
			if !isText && got != nil {
				text = fmt.Sprint(got)
			}
			return got != nil && p.matches(expression, text)
		}
		return isText && text == s
	}
	a, err1 := json.Marshal(got)
	b, err2 := json.Marshal(p.replaced(want))
	return err1 == nil && err2 == nil && string(a) == string(b)
}

// compareMany looks at launches that were made at once.
func (p *play) compareMany(e *Expect) {
	var outcomes []string
	endpoints := map[string]bool{}
	for _, r := range p.last {
		outcomes = append(outcomes, r.outcome())
		if at := r.text("identity.ipc_endpoint.path"); at != "" {
			endpoints[at] = true
		}
	}
	p.sameCodes("outcomes", outcomes, e.Outcomes)
	if e.Endpoints != nil && len(endpoints) != *e.Endpoints {
		p.miss("%d different endpoints, not %d", len(endpoints), *e.Endpoints)
	}
}

// compareTraces looks at processes, sockets and records. A launch that came to
// nothing leaves none, and a denial never had a process.
func (p *play) compareTraces(s *Step, e *Expect) {
	launched, _ := p.spawned()
	count := func(what string, got int, want *int) {
		if want != nil && got != *want {
			p.miss("%s: %d, not %d", what, got, *want)
		}
	}
	count("backends started", len(launched), e.Spawned)
	count("live processes", len(p.alive()), e.Alive)
	count("sockets", len(p.socketFiles()), e.Sockets)
	count("records", len(p.recordFiles()), e.Records)
	count("private directories", len(p.runDirs()), e.RunDirs)
	first := s == &p.c.Steps[0]
	failed := slices.ContainsFunc(p.last, func(r *result) bool { return r.exit != 0 })
	if s.Do != "launch" || !first || !failed || e.Leaves || len(p.last) != 1 {
		return
	}
	if left := p.left(); len(left) > 0 {
		p.miss("a launch that came to nothing left %s", strings.Join(left, ", "))
	}
	if p.last[0].outcome() == "denied" && len(launched) > 0 && e.Spawned == nil {
		p.miss("the launch was denied, and started %d backends", len(launched))
	}
}

func (p *play) compareFile(f Seen) {
	path := p.path(f.Path)
	data, err := os.ReadFile(path)
	if f.Absent {
		if _, err := os.Lstat(path); err == nil {
			p.miss("%s is there", f.Path)
		}
		return
	}
	if err != nil {
		p.miss("%s: %v", f.Path, err)
		return
	}
	if f.Mode != "" {
		bits, err := fileMode(path)
		if want, _ := strconv.ParseUint(f.Mode, 8, 32); err != nil || bits != uint32(want) {
			p.miss("%s has mode %04o, not %s", f.Path, bits, f.Mode)
		}
	}
	p.compareText(filepath.Base(f.Path), string(data), f.Text)
}
