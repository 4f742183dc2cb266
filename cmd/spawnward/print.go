package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/spawnward/spawnward/policy"
	"github.com/spawnward/spawnward/spawner"
	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
)

// silent is an error whose text has been printed in another form.
type silent struct{ error }

func (s silent) Unwrap() error { return s.error }

// fail prints an error and what to do about it, and returns the exit status.
func (a *app) fail(err error) int {
	var own statusError
	if errors.As(err, &own) {
		return int(own)
	}
	c := codeOf(err)
	status := code.Exit(c)
	if a.flags.output == "json" && !a.printed {
		// What cannot be written is still told on standard error.
		_ = a.printJSON(jsonError{spawner.ReportError{Code: c, Message: err.Error()}})
	}
	var printed silent
	if errors.As(err, &printed) {
		return status
	}
	// Continued lines are indented: no text from outside begins a line of ours.
	text := "spawnward: " + strings.ReplaceAll(safe(err.Error(), true), "\n", "\n  ") + "\n"
	if e, ok := code.Lookup(c); ok {
		text += fmt.Sprintf("  code: %s\n  fix:  %s\n", c, e.Fix)
	}
	// A standard error that cannot be written leaves nobody to tell.
	_, _ = fmt.Fprint(a.stderr, text)
	return status
}

// codeOf is the code of an error; every failure has one.
func codeOf(err error) code.Code {
	if c, ok := code.Of(err); ok {
		return c
	}
	return code.Failed
}

func (a *app) printJSON(v any) error {
	a.printed = true
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the result: %w", err)
	}
	return a.printf("%s\n", ascii(data))
}

// ascii writes what is not ASCII in JSON as escapes: JSON leaves some control
// characters as they are.
func ascii(data []byte) string {
	var b strings.Builder
	for _, c := range string(data) {
		switch {
		case c < 0x7f:
			b.WriteRune(c)
		case c > 0xffff:
			high, low := utf16.EncodeRune(c)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, c)
		}
	}
	return b.String()
}

// warn tells of what policy let pass.
func (a *app) warn(r *spawner.Report) {
	if r == nil || r.Decision == nil {
		return
	}
	var b strings.Builder
	if !r.Decision.Allow && r.Outcome != spawner.Denied {
		fmt.Fprintf(&b, "spawnward: warning: policy denies this launch; it goes on because the policy is in monitor mode\n")
		for _, f := range r.Decision.Violations {
			fmt.Fprintf(&b, "  %s: %s\n", f.Code, safe(f.Message, false))
		}
	}
	for _, f := range r.Decision.Warnings {
		fmt.Fprintf(&b, "spawnward: warning: %s: %s\n", f.Code, safe(f.Message, false))
	}
	b.WriteString(hookWrote(r))
	for _, w := range r.HookWarnings {
		fmt.Fprintf(&b, "spawnward: warning: hook %s: %s\n", w.Hook, w.Message)
	}
	// A warning that nobody can read must not end what policy let pass.
	_, _ = fmt.Fprint(a.stderr, b.String())
	a.warnLog(r)
}

// warnLog tells that the launch, or what came of it, is not in the log.
func (a *app) warnLog(r *spawner.Report) {
	if r.LogError != nil {
		_, _ = fmt.Fprintf(a.stderr, "spawnward: warning: %s: %s\n", r.LogError.Code, safe(r.LogError.Message, false))
	}
}

// tellRepairs tells what an earlier launch had left.
func (a *app) tellRepairs(r *spawner.Report) {
	var b strings.Builder
	for _, d := range r.Repaired {
		fmt.Fprintf(&b, "spawnward: cleared away what was left of process %d: %s\n", d.PID, safe(d.Why, false))
	}
	_, _ = fmt.Fprint(a.stderr, b.String()) // as with warnings
}

func (a *app) printHandle(r *spawner.Report) error {
	id := r.Identity
	rows := [][2]string{
		{string(r.Outcome), r.Service + "@" + r.Version + " (" + r.Instance + ")"},
		{"  pid", fmt.Sprint(id.PID)},
		{"  binary", id.ExePath},
		{"  sha256", id.ExeSHA256},
		{"  endpoint", dash(id.Endpoint.Path)},
		{"  binding", string(r.Binding)},
		{"  probe", r.Probe},
	}
	if r.Script != nil {
		rows = slices.Insert(rows, 2, [2]string{"  script", r.Script.Path})
	}
	if r.Status != "" {
		rows = append(rows, [2]string{"  status", strconv.QuoteToASCII(r.Status)})
	}
	return a.headed(goodNews, append(rows, [][2]string{
		{"  decision", r.DecisionID},
		{"  took", duration(r.Timings.Total)},
	}...))
}

func duration(us int64) string {
	return (time.Duration(us) * time.Microsecond).Round(10 * time.Microsecond).String()
}

// safe makes text from outside harmless on a terminal: control characters are
// written as escapes, line ends only if they are not wanted.
func safe(text string, lines bool) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case lines && (r == '\n' || r == '\t'):
			b.WriteRune(r)
		case r == utf8.RuneError || !unicode.IsPrint(r):
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// headed is a table whose first word is the verdict.
func (a *app) headed(p paint, rows [][2]string) error {
	text, err := tableText(rows)
	if err != nil {
		return err
	}
	verdict := rows[0][0]
	return a.printf("%s", a.brush(a.stdout)(p, verdict)+strings.TrimPrefix(text, verdict))
}

// table prints names and values in two columns.
func (a *app) table(rows [][2]string) error {
	text, err := tableText(rows)
	if err != nil {
		return err
	}
	return a.printf("%s", text)
}

func tableText(rows [][2]string) (string, error) {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\n", r[0], safe(r[1], false))
	}
	err := w.Flush()
	return b.String(), err
}

// printDenial says of each reason which facts failed and what would make it
// pass.
func (a *app) printDenial(r *spawner.Report) error {
	brush := a.brush(a.stderr)
	text := fmt.Sprintf("spawnward: %s %s@%s (%s)\n%s", brush(badNews, "denied"), safe(r.Service, false), safe(r.Version, false), safe(r.Instance, false), findings(r.Decision.Violations, badNews, brush))
	text += hookWrote(r)
	for _, pid := range r.Error.Running {
		text += fmt.Sprintf("\nProcess %d of it was admitted earlier and is left running; 'spawnward stop %s' ends it.\n", pid, safe(r.Service+"@"+r.Version, false))
	}
	_, err := fmt.Fprint(a.stderr, text)
	return err
}

// hookWrote is what the author of a failed hook wants to see.
func hookWrote(r *spawner.Report) string {
	if r.HookStderr == "" {
		return ""
	}
	return "spawnward: the hook wrote: " + r.HookStderr + "\n"
}

func findings(list []admission.Finding, p paint, brush brush) string {
	var b strings.Builder
	for _, f := range list {
		fmt.Fprintf(&b, "\n  %s (%s, %s)\n    %s\n", brush(p, string(f.Code)), f.Enforcement, f.Severity, safe(f.Message, false))
		for _, name := range sorted(f.Evidence) {
			fmt.Fprintf(&b, "    %s: %s\n", safe(name, false), safe(evidence(name, f.Evidence[name]), false))
		}
		if f.Location != "" {
			fmt.Fprintf(&b, "    rule: %s\n", safe(f.Location, false))
		}
		fmt.Fprintf(&b, "    fix: %s\n", safe(f.Remediation, false))
	}
	return b.String()
}

// evidence writes a fact as people do: texts quoted, modes in octal.
func evidence(name string, v any) string {
	if s, ok := v.(string); ok {
		return strconv.Quote(s)
	}
	if m, ok := v.(map[string]any); ok && len(m) > 0 {
		parts := make([]string, 0, len(m))
		for _, key := range sorted(m) {
			parts = append(parts, key+" "+evidence(key, m[key]))
		}
		return strings.Join(parts, ", ")
	}
	if n, err := strconv.ParseInt(fmt.Sprint(v), 10, 64); err == nil && name == "mode" {
		return fmt.Sprintf("%04o", n)
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%q", fmt.Sprint(v))
	}
	return string(data)
}

func (a *app) printCheck(r *spawner.Report, remedies []policy.Remedy) error {
	in := r.Input
	verdict, meaning, brush := string(r.Outcome), badNews, a.brush(a.stdout)
	switch {
	case r.Outcome == spawner.Allowed && !r.Decision.Allow:
		verdict, meaning = "monitored", attend // denied, but it would go on
	case r.Outcome == spawner.Allowed:
		meaning = goodNews
	}
	rows := [][2]string{
		{verdict, r.Service + "@" + r.Version + " (" + r.Instance + ")"},
		{"  binary", in.Binary.Path},
		{"  sha256", in.Binary.SHA256},
		{"  root", in.Root.Path},
		{"  definition", definitionText(in)},
		{"  policy", r.Decision.Policy.ID},
		{"  grants", strings.Join(r.Decision.Grants, ", ")},
		{"  probe", r.Probe},
		{"  took", duration(r.Timings.Total)},
	}
	if r.Script != nil { // and the binary is its interpreter
		rows = slices.Insert(rows, 1, [2]string{"  script", r.Script.Path}, [2]string{"  sha256", r.Script.SHA256})
	}
	if err := a.headed(meaning, rows); err != nil {
		return err
	}
	if len(r.Decision.Violations) > 0 {
		if err := a.printf("\n%s\n%s", brush(heading, "Reasons:"), findings(r.Decision.Violations, badNews, brush)); err != nil {
			return err
		}
	}
	if err := a.printf("%s", remediesText(remedies, brush)); err != nil {
		return err
	}
	if len(r.Decision.Warnings) > 0 {
		if err := a.printf("\n%s\n%s", brush(heading, "Warnings:"), findings(r.Decision.Warnings, attend, brush)); err != nil {
			return err
		}
	}
	for _, w := range r.Decision.Waived {
		if err := a.printf("\nWaived: %s by %s until %s\n", brush(attend, string(w.Code)), w.Waiver, w.Expires); err != nil {
			return err
		}
	}
	if err := a.printConfinement(r.Confine); err != nil {
		return err
	}
	return a.printEnvironment(in)
}

func definitionText(in *admission.Input) string {
	if in.Service.Path != "" {
		return in.Service.Path
	}
	return "from " + in.Service.Source
}
