package conformance

import (
	"cmp"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Report is what a run found.
type Report struct {
	// OK holds if nothing failed and nothing is broken.
	OK      bool            `json:"ok"`
	Counts  map[Outcome]int `json:"counts"`
	Millis  int64           `json:"ms"`
	Results []*Result       `json:"results"`
	// Notes are findings about the run as a whole.
	Notes []string `json:"notes,omitempty"`
}

func (r *Report) judge() {
	r.Counts = map[Outcome]int{}
	for _, c := range r.Results {
		r.Counts[c.Outcome]++
	}
	// Who denies everything has kept every denial, and no promise.
	if r.Counts[Tighter] > 0 && !slices.ContainsFunc(r.Results, launched) {
		r.Notes = append(r.Notes, "under this policy no case launches a backend any more; if that is not meant, look for what all of them are denied with")
		for _, c := range r.Results {
			if c.Outcome == Tighter {
				c.Outcome = Broken
				r.Counts[Tighter]--
				r.Counts[Broken]++
			}
		}
	}
	r.OK = r.Counts[Failed] == 0 && r.Counts[Broken] == 0 && len(r.Results) > 0
}

func launched(c *Result) bool { return c.Outcome == Held && c.launches }

// outcomes in the order in which people want to see them.
func outcomes() []Outcome { return []Outcome{Failed, Broken, Waived, Tighter, Skipped, Held} }

// WriteText writes the report for people: failures first, then requirement by
// requirement. With everything it also lists the cases that held.
func (r *Report) WriteText(w io.Writer, everything bool) error {
	var b strings.Builder
	for _, o := range outcomes() {
		if o == Held && !everything {
			continue
		}
		r.section(&b, o)
	}
	r.requirements(&b)
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	var counts []string
	for _, o := range outcomes() {
		if n := r.Counts[o]; n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, o))
		}
	}
	fmt.Fprintf(&b, "%d cases in %.1f s: %s\n", len(r.Results), float64(r.Millis)/1000, strings.Join(counts, ", "))
	_, err := io.WriteString(w, b.String())
	return err
}

// section lists the cases of one outcome under the requirement that each shows
// first.
func (r *Report) section(b *strings.Builder, o Outcome) {
	var list []*Result
	for _, c := range r.Results {
		if c.Outcome == o {
			list = append(list, c)
		}
	}
	if len(list) == 0 {
		return
	}
	slices.SortStableFunc(list, func(x, y *Result) int { return cmp.Compare(rank(x.Requires[0]), rank(y.Requires[0])) })
	fmt.Fprintf(b, "%s\n", strings.ToUpper(string(o)))
	last := ""
	for _, c := range list {
		if c.Requires[0] != last {
			last = c.Requires[0]
			fmt.Fprintf(b, "  %s\n", last)
		}
		fmt.Fprintf(b, "    %s: %s\n", c.ID, c.Title)
		if o == Held {
			continue
		}
		if o != Skipped {
			fmt.Fprintf(b, "      %s\n", c.File)
		}
		if c.Reason != "" {
			fmt.Fprintf(b, "      %s\n", c.Reason)
		}
		for _, s := range slices.Concat(c.Seen, c.Difference) {
			fmt.Fprintf(b, "      - %s\n", strings.ReplaceAll(printable(s), "\n", "\n        "))
		}
	}
	b.WriteByte('\n')
}

// requirements says for each id how its cases ended.
func (r *Report) requirements(b *strings.Builder) {
	by := map[string]map[Outcome]int{}
	for _, c := range r.Results {
		for _, id := range c.Requires {
			if by[id] == nil {
				by[id] = map[Outcome]int{}
			}
			by[id][c.Outcome]++
		}
	}
	ids := sortedKeys(by)
	slices.SortStableFunc(ids, func(x, y string) int { return cmp.Compare(rank(x), rank(y)) })
	b.WriteString("REQUIREMENTS\n")
	for _, id := range ids {
		var parts []string
		for _, o := range outcomes() {
			if n := by[id][o]; n > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", n, o))
			}
		}
		fmt.Fprintf(b, "  %-34s %s\n", id, strings.Join(parts, ", "))
	}
	b.WriteByte('\n')
}

// rank sorts requirements before codes, areas in the order of the design.
func rank(id string) string {
	area, number, ok := strings.Cut(id, "-")
	if at := strings.Index("OXWPH", area); ok && len(area) == 1 && at >= 0 {
		return fmt.Sprintf("%d %8s", at, number)
	}
	return "9 " + id
}

// printable keeps a terminal safe from what was seen.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}

// WriteJSON writes the report in the form of schema/report.json.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string     `xml:"classname,attr"`
	Name    string     `xml:"name,attr"`
	Time    string     `xml:"time,attr"`
	Failure *junitText `xml:"failure"`
	Skipped *junitText `xml:"skipped"`
	Out     string     `xml:"system-out,omitempty"`
}

type junitText struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes the report in the form that build servers read. What a policy
// waives or tightens on purpose counts as passed and says so in its output.
func (r *Report) WriteJUnit(w io.Writer) error {
	s := junitSuite{Name: "spawnward conformance", Tests: len(r.Results), Time: seconds(r.Millis)}
	for _, c := range r.Results {
		j := junitCase{Class: c.Requires[0], Name: c.ID + ": " + c.Title, Time: seconds(c.Millis)}
		text := printable(strings.Join(slices.Concat([]string{c.File}, c.Seen, c.Difference), "\n"))
		switch c.Outcome {
		case Failed, Broken:
			s.Failures++
			j.Failure = &junitText{Message: string(c.Outcome), Text: text}
		case Skipped:
			s.Skipped++
			j.Skipped = &junitText{Message: c.Reason}
		case Waived, Tighter:
			j.Out = printable(string(c.Outcome) + ": " + c.Reason + "\n" + text)
		}
		s.Cases = append(s.Cases, j)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(junitSuites{Suites: []junitSuite{s}}); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func seconds(ms int64) string { return fmt.Sprintf("%.3f", float64(ms)/1000) }
