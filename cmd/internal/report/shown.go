package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spawnward/spawnward/spawner/admission"
)

// Shown is one launch as the page shows it.
type Shown struct {
	Launch
	Findings []Finding
	Warnings []Finding
	Waived   []admission.Waived
	Grants   string
	Facts    []Fact
	// Document is the whole input, indented; "" without one.
	Document string
	// Search is what the filter looks in.
	Search string
}

// Finding is one objection with the facts behind it.
type Finding struct {
	admission.Finding
	Facts []Fact
}

// Fact is a name and what was found.
type Fact struct{ Name, Value string }

func show(l Launch) Shown {
	s := Shown{Launch: l}
	var d admission.Decision
	if l.Result != nil && json.Unmarshal(l.Result, &d) == nil {
		s.Findings, s.Warnings = findings(d.Violations), findings(d.Warnings)
		s.Waived, s.Grants = d.Waived, strings.Join(d.Grants, ", ")
	}
	var in admission.Input
	if l.Input != nil && json.Unmarshal(l.Input, &in) == nil {
		s.Facts = facts(&in)
		var text bytes.Buffer
		if json.Indent(&text, l.Input, "", "  ") == nil {
			s.Document = text.String()
		}
	}
	words := []string{l.Service, l.Version, l.Kind(), l.Caller, l.ID, l.Digest}
	for _, c := range l.Codes {
		words = append(words, string(c))
	}
	s.Search = strings.ToLower(strings.Join(words, " "))
	return s
}

func findings(list []admission.Finding) []Finding {
	var out []Finding
	for _, f := range list {
		one := Finding{Finding: f}
		for _, name := range slices.Sorted(maps.Keys(f.Evidence)) {
			value, err := json.Marshal(f.Evidence[name])
			if err != nil {
				value = fmt.Append(nil, f.Evidence[name])
			}
			one.Facts = append(one.Facts, Fact{name, string(value)})
		}
		out = append(out, one)
	}
	return out
}

// facts are those that somebody on call looks at first.
func facts(in *admission.Input) []Fact {
	b := in.Binary
	out := []Fact{
		{"Binary", b.Path}, {"SHA-256", b.SHA256}, {"Allow-root", in.Root.Path},
		{"Owner and mode", fmt.Sprintf("user %d, group %d, %04o", b.UID, b.GID, b.Mode)},
		{"Size", fmt.Sprintf("%d bytes", b.Size)}, {"File system", b.Mount.FSType},
		{"Definition", strings.TrimSpace(in.Service.Source + " " + in.Service.Path)},
		{"Arguments", strings.Join(in.Request.Args, " ")},
		{"Caller", fmt.Sprintf("user %d, group %d", in.Caller.UID, in.Caller.GID)},
		{"Started by", in.Caller.Parent.Exe}, {"Trace", in.Request.Trace.Traceparent},
		{"Host", in.Host.Hostname}, {"Kernel", in.Host.Kernel},
	}
	return slices.DeleteFunc(out, func(f Fact) bool { return f.Value == "" })
}
