// Package report turns launches read from the decision log into one page for
// people: what came of them over time, what was denied and why, which steps were
// slow, and which waivers are about to end.
//
// The page is one file that asks for nothing else: no network, no script from
// elsewhere. Every text in it comes from the log and is escaped; a policy in the
// page itself lets only its own style and its own script work. It behaves the
// same on every operating system.
package report

import (
	"encoding/json"
	"maps"
	"slices"
	"sort" // its body serves every type: a generic one for each would be 40 KB of the command
	"time"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
)

// Launch is one decision of the log, with what came of it.
type Launch struct {
	ID       string
	When     time.Time
	Service  string
	Version  string
	Instance string
	// Verdict is that of policy, Outcome what the launch came to: "launched",
	// "reused", "denied", "failed", "unfinished".
	Verdict string
	Outcome string
	Codes   []code.Code
	Message string // of the failure; "" without one
	Digest  string
	PID     int
	Binding string
	Caller  string // the user's name, or number
	Policy  string
	// DurationsUS are the steps' times in microseconds, by name.
	DurationsUS map[string]int64
	// File and Line are where the decision stands in the log.
	File string
	Line int
	// Input and Result are the documents of the decision as they were logged; nil
	// when they were not.
	Input  json.RawMessage
	Result json.RawMessage
}

// Options choose what is shown.
type Options struct {
	// Now is when the report is made.
	Now time.Time
	// Limit is how many decisions are shown one by one, the newest first; all of
	// them are counted.
	Limit int
	// Filter says in words what was left out beforehand; "" is nothing.
	Filter string
}

// Report is what the page shows.
type Report struct {
	Options
	From, Until time.Time // of the launches
	Total       int
	Outcomes    []Count
	Periods     []Period
	PeriodName  string
	Codes       []Count
	Services    []ServiceCount
	Callers     []ServiceCount
	Steps       []Step
	Waivers     []Waiver
	Launches    []Shown
	Left        int // launches that are counted and not shown
}

// Count is how often something was.
type Count struct {
	Name  string
	N     int
	Share float64 // of the largest, from 0 to 1
	Fix   string  // of a code
	Last  string  // id of the newest decision with it, "" when it is not shown
}

// ServiceCount counts what came of the launches of a service, or of a caller.
type ServiceCount struct {
	Name                            string
	Good, Denied, Failed, Monitored int
	Last                            string // id of the newest denial, "" when none is shown
}

// Step is what one step of the launches took.
type Step struct {
	Name              string
	Median, High, Max time.Duration // High: 95 of 100 were faster
	Slowest           string        // id of the slowest
	Share             float64       // of the largest high, from 0 to 1
}

// Waiver is a waiver that excused something.
type Waiver struct {
	ID      string
	Code    string
	Expires time.Time
	Used    int
	Last    string
	// State is "expired", "soon" (within 30 days) or "later".
	State string
}

// soon is how long before its end a waiver is pointed out.
const soon = 30 * 24 * time.Hour

// New counts launches, which stand in the order of the log.
func New(launches []Launch, o Options) *Report {
	r := &Report{Options: o, Total: len(launches)}
	newest := slices.Clone(launches)
	sort.SliceStable(newest, func(a, b int) bool { return newest[a].When.After(newest[b].When) })
	if len(newest) > 0 {
		r.Until, r.From = newest[0].When, newest[len(newest)-1].When
	}
	shown := newest[:min(len(newest), max(o.Limit, 0))]
	r.Left = len(newest) - len(shown)
	visible := map[string]bool{}
	for _, l := range shown {
		r.Launches = append(r.Launches, show(l))
		visible[l.ID] = true
	}
	id := func(l Launch) string {
		if visible[l.ID] {
			return l.ID
		}
		return ""
	}
	r.Outcomes = counts(newest, func(l Launch) []string { return []string{l.Kind()} }, id)
	r.Codes = counts(newest, func(l Launch) []string {
		if l.good() {
			return nil
		}
		out := make([]string, len(l.Codes))
		for i, c := range l.Codes {
			out[i] = string(c)
		}
		return out
	}, id)
	for i, c := range r.Codes {
		if e, ok := code.Lookup(code.Code(c.Name)); ok {
			r.Codes[i].Fix = e.Fix
		}
	}
	r.Services = byName(newest, func(l Launch) string { return l.Service }, id)
	r.Callers = byName(newest, func(l Launch) string { return l.Caller }, id)
	r.Steps = steps(newest, id)
	r.Waivers = waivers(newest, o.Now, id)
	r.Periods, r.PeriodName = periods(newest, r.From, r.Until)
	return r
}

// Kind is the outcome, with what policy only reported set apart.
func (l Launch) Kind() string {
	if l.Verdict == "monitored" && l.good() {
		return "monitored"
	}
	return l.Outcome
}

func (l Launch) good() bool { return l.Outcome == "launched" || l.Outcome == "reused" }

func counts(list []Launch, names func(Launch) []string, id func(Launch) string) []Count {
	found := map[string]*Count{}
	most := 0
	for _, l := range list {
		for _, name := range names(l) {
			c := found[name]
			if c == nil {
				c = &Count{Name: name, Last: id(l)}
				found[name] = c
			}
			c.N++
			most = max(most, c.N)
		}
	}
	out := []Count{}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		c := *found[name]
		c.Share = float64(c.N) / float64(most)
		out = append(out, c)
	}
	sort.SliceStable(out, func(a, b int) bool { return out[a].N > out[b].N })
	return out
}

func byName(list []Launch, name func(Launch) string, id func(Launch) string) []ServiceCount {
	found := map[string]*ServiceCount{}
	for _, l := range list {
		c := found[name(l)]
		if c == nil {
			c = &ServiceCount{Name: name(l)}
			found[c.Name] = c
		}
		switch l.Kind() {
		case "launched", "reused":
			c.Good++
		case "monitored":
			c.Monitored++
		case "denied":
			c.Denied++
			if c.Last == "" {
				c.Last = id(l)
			}
		default:
			c.Failed++
		}
	}
	out := []ServiceCount{}
	for _, n := range slices.Sorted(maps.Keys(found)) {
		out = append(out, *found[n])
	}
	sort.SliceStable(out, func(a, b int) bool {
		if out[a].Denied != out[b].Denied {
			return out[a].Denied > out[b].Denied
		}
		return out[a].Failed > out[b].Failed
	})
	return out
}

func steps(list []Launch, id func(Launch) string) []Step {
	type taken struct {
		us int64
		l  Launch
	}
	found := map[string][]taken{}
	for _, l := range list {
		for name, us := range l.DurationsUS {
			if name != "total" && us > 0 {
				found[name] = append(found[name], taken{us, l})
			}
		}
	}
	out := []Step{}
	most := time.Duration(0)
	for _, name := range slices.Sorted(maps.Keys(found)) {
		all := found[name]
		sort.SliceStable(all, func(a, b int) bool { return all[a].us < all[b].us })
		at := func(share int) time.Duration { return time.Duration(all[(len(all)-1)*share/100].us) * time.Microsecond }
		s := Step{Name: name, Median: at(50), High: at(95), Max: at(100), Slowest: id(all[len(all)-1].l)}
		most = max(most, s.High)
		out = append(out, s)
	}
	for i := range out {
		out[i].Share = float64(out[i].High) / float64(most)
	}
	sort.SliceStable(out, func(a, b int) bool { return out[a].High > out[b].High })
	return out
}

func waivers(list []Launch, now time.Time, id func(Launch) string) []Waiver {
	found := map[string]*Waiver{}
	for _, l := range list {
		var d admission.Decision
		if l.Result == nil || json.Unmarshal(l.Result, &d) != nil {
			continue
		}
		for _, w := range d.Waived {
			key := w.Waiver + " " + string(w.Code)
			if found[key] == nil {
				expires, err := time.Parse(time.RFC3339, w.Expires)
				if err != nil {
					continue
				}
				found[key] = &Waiver{ID: w.Waiver, Code: string(w.Code), Expires: expires, Last: id(l)}
			}
			found[key].Used++
		}
	}
	out := []Waiver{}
	for _, key := range slices.Sorted(maps.Keys(found)) {
		w := *found[key]
		switch left := w.Expires.Sub(now); {
		case left <= 0:
			w.State = "expired"
		case left < soon:
			w.State = "soon"
		default:
			w.State = "later"
		}
		out = append(out, w)
	}
	sort.SliceStable(out, func(a, b int) bool { return out[a].Expires.Before(out[b].Expires) })
	return out
}
