package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/decisionlog"
	"github.com/spawnward/spawnward/spawner/nearest"
)

// logFlags are those of the commands that read the decision log.
type logFlags struct {
	service, code, outcome, decision string
	since, until                     string
	head                             bool
	known                            string
	html                             string
	limit                            int
}

func (a *app) logCommands() []*command {
	places := func(fs *pflag.FlagSet) {
		a.stateFlags(fs)
		a.logFlag(fs)
	}
	return []*command{
		{
			name: "show", short: "list what was decided and what came of it, the newest last",
			example: "spawnward log show --service redis --since 24h\n  spawnward log show --decision 3f2a -o json\n  spawnward log show --head",
			names:   true,
			flags: func(fs *pflag.FlagSet) {
				places(fs)
				a.logFilters(fs)
				f := &a.flags.logs
				fs.StringVar(&f.decision, "decision", "", "only this decision, by the beginning of its id; with -o json all of it")
				fs.BoolVar(&f.head, "head", false, "print the digest of the last line, to be kept elsewhere for log verify --head")
			}, run: a.logShow,
		},
		{
			name: "report", short: "make a page of the decision log: what was denied and why, over time, and what was slow",
			example: "spawnward log report --html report.html --since 7d",
			flags: func(fs *pflag.FlagSet) {
				places(fs)
				a.logFilters(fs)
				fs.StringVar(&a.flags.logs.html, "html", "", "the file that the page is written to, readable by its owner alone; - is standard output")
				fs.IntVar(&a.flags.logs.limit, "limit", 500, "how many decisions are shown one by one, the newest; all are counted")
			}, run: a.logReport,
		},
		{
			name: "verify", args: "[FILE...]", short: "prove that nothing in the decision log was changed, removed or inserted",
			example: "spawnward log verify\n  spawnward log verify --head $(cat kept-head)",
			flags: func(fs *pflag.FlagSet) {
				places(fs)
				fs.StringVar(&a.flags.logs.known, "head", "", "a head that was kept: everything up to it must be there, unchanged")
			}, run: a.logVerify,
		},
	}
}

// logFilters are the flags that choose launches of the log.
func (a *app) logFilters(fs *pflag.FlagSet) {
	f := &a.flags.logs
	fs.StringVar(&f.service, "service", "", "only of this service")
	fs.StringVar(&f.code, "code", "", "only with this code among the reasons")
	fs.StringVar(&f.outcome, "outcome", "", "only with this outcome: "+strings.Join(outcomes(), ", "))
	fs.StringVar(&f.since, "since", "", "only from then on: 90m, 24h, 7d ago or 2026-01-31T12:00:00Z")
	fs.StringVar(&f.until, "until", "", "only before then")
}

// check refuses what no line of a log can have. The codes of a site's own rules
// are known to the site alone.
func (f logFlags) check() error {
	if f.outcome != "" && !slices.Contains(outcomes(), f.outcome) {
		return usage("log", "--outcome %q is not one of %s%s", f.outcome, strings.Join(outcomes(), ", "), nearest.Hint(f.outcome, outcomes()))
	}
	if _, ok := code.Lookup(code.Code(f.code)); ok || f.code == "" || strings.HasPrefix(f.code, "site_") {
		return nil
	}
	var names []string
	for _, e := range code.Table() {
		names = append(names, string(e.Code))
	}
	return usage("log", "--code %q is no code%s", f.code, nearest.Hint(f.code, names))
}

// logFiles opens the log's files, oldest first. Files that are renamed meanwhile
// are looked for again.
func (a *app) logFiles(named []string) (files []*os.File, err error) {
	l, err := a.launcher(nil)
	if err != nil {
		return nil, err
	}
	own, ok := l.Log().(*decisionlog.Log)
	if !ok {
		return nil, code.New("log", code.Failed, errors.New("there is no log of files"))
	}
	defer own.Close()
	pinned, err := a.pinned()
	if err != nil {
		return nil, err
	}
	if a.flags.log != "" && pinned.Log == "" { // what is pinned is no misspelling
		if _, err := os.Stat(a.flags.log); err != nil {
			return nil, code.New("open the log", code.Failed, err) // a name that is misspelt must not look like an empty log
		}
	}
	for range 3 {
		paths := named
		if len(named) == 0 {
			if paths, err = own.Files(); err != nil {
				return nil, err
			}
		}
		files, err = openAll(paths)
		if err == nil || len(named) > 0 || !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err != nil {
		return nil, code.New("open the log", code.Failed, err)
	}
	return files, nil
}

func openAll(paths []string) ([]*os.File, error) {
	var out []*os.File
	for _, p := range paths {
		f, err := os.Open(p)
		if err != nil {
			closeAll(out)
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close() // only read
	}
}

func (a *app) logVerify(_ context.Context, args []string) error {
	head := a.flags.logs.known
	if head != "" && !strings.HasPrefix(head, "sha256:") {
		head = "sha256:" + head
	}
	if head != "" && !decisionlog.ValidHead(head) {
		return usage("log verify", "--head %q is not sha256: and 64 hexadecimal digits", a.flags.logs.known)
	}
	files, err := a.logFiles(args)
	if err != nil {
		return err
	}
	defer closeAll(files)
	var in []decisionlog.File
	for _, f := range files {
		in = append(in, decisionlog.File{Name: f.Name(), Reader: f})
	}
	v, err := decisionlog.Verify(in, head)
	if err != nil {
		return code.New("log verify", code.LogBroken, err)
	}
	if a.flags.output == "json" {
		err = a.printJSON(v)
	} else {
		err = a.printf("%s", verificationText(v, len(files)))
	}
	if err == nil && !v.OK {
		var what []string
		for _, b := range v.Breaches {
			what = append(what, place(b.Place)+b.What)
		}
		return code.New("log verify", code.LogBroken, errors.New(strings.Join(what, "\n")))
	}
	return err
}

func place(p decisionlog.Place) string {
	switch {
	case p.File == "":
		return ""
	case p.Line == 0:
		return p.File + ": "
	}
	return fmt.Sprintf("%s:%d: ", p.File, p.Line)
}

func verificationText(v *decisionlog.Verification, files int) string {
	var b strings.Builder
	from := "from the first line that was ever written"
	if !v.Begins {
		from = "beginning in the middle: older files are not here"
	}
	switch {
	case v.Lines == 0:
		fmt.Fprintf(&b, "the log is empty\n")
	case len(v.Breaches) == 0:
		fmt.Fprintf(&b, "unbroken: %s in %s, %s\n", plural(v.Lines, "line"), plural(files, "file"), from)
	default:
		fmt.Fprintf(&b, "broken: %s in %s of %s\n", plural(len(v.Breaches), "breach"), plural(files, "file"), plural(v.Lines, "line"))
	}
	for _, p := range v.Torn {
		fmt.Fprintf(&b, "torn: %sa line that was not written to its end, by a crash or a power cut\n", safe(place(p), false))
	}
	if v.Head != "" {
		fmt.Fprintf(&b, "head: %s\n", v.Head)
	}
	if v.Proven != nil {
		fmt.Fprintf(&b, "proven: everything up to %s:%d is what it was when that head was taken; %s after it\n", safe(v.Proven.File, false), v.Proven.Line, plural(v.After, "line"))
	} else if len(v.Breaches) == 0 && v.Lines > 0 {
		b.WriteString("proven: the order of what is there; that its end was not cut off, or all of it written anew, only a head that was kept proves (--head)\n")
	}
	return b.String()
}

// when reads a point in time: a duration ago, or a date.
func when(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02"} {
		if at, err := time.ParseInLocation(form, text, time.Local); err == nil {
			return at, nil
		}
	}
	var days int
	if n, err := fmt.Sscanf(text, "%dd", &days); n == 1 && err == nil && text == fmt.Sprintf("%dd", days) && days >= 0 && days < 100000 {
		return now.AddDate(0, 0, -days), nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, usage("log show", "%s %q is neither a time such as 2026-01-31T12:00:00Z nor how long ago, such as 90m, 24h or 7d", flag, text)
}
