package report

import (
	"maps"
	"slices"
	"strings"
	"time"
)

func (p *page) decisions(r *Report) {
	p.put("<section aria-labelledby=\"decisions\">\n<h2 id=\"decisions\" tabindex=\"-1\">Decisions</h2>\n<form id=\"filter\" hidden>\n<label>Outcome <select name=\"kind\"><option value=\"\">all</option>")
	for _, c := range r.Outcomes {
		p.put("<option>%v</option>", c.Name)
	}
	p.put("</select></label>\n<label>Words in service, code, caller, id <input name=\"words\" type=\"search\" autocomplete=\"off\"></label>\n<button type=\"reset\">Show all</button>\n<span id=\"count\" class=\"quiet\" role=\"status\"></span>\n</form>\n")
	if r.Left > 0 {
		p.put("<p class=\"quiet\">The newest %v are shown; %v are counted above. Narrow the report with --since, --service or --code, or raise --limit.</p>\n", len(r.Launches), plural(r.Left, "older one"))
	}
	p.put("<div id=\"launches\">\n")
	for i := range r.Launches {
		p.launch(&r.Launches[i])
	}
	p.put("</div>\n</section>\n")
}

func (p *page) launch(l *Shown) {
	p.put("<details id=\"d-%v\" data-kind=\"%v\" data-search=\"%v\">\n", l.ID, l.Kind(), l.Search)
	p.put("<summary><time datetime=\"%v\">%v</time> <span class=\"who\">%v@%v</span> <span class=\"tag %v\">%v</span> <span>%v</span>", l.When.UTC().Format(time.RFC3339), stamp(l.When), l.Service, l.Version, l.Kind(), l.Kind(), l.Caller)
	if len(l.Codes) > 0 {
		var codes []string
		for _, c := range l.Codes {
			codes = append(codes, string(c))
		}
		p.put(" <span class=\"codes\">%v</span>", strings.Join(codes, ", "))
	}
	p.put("</summary>\n<div class=\"body\">\n")
	if l.Message != "" {
		p.put("<p>%v</p>\n", l.Message)
	}
	for _, f := range l.Findings {
		p.put("<div class=\"finding denied\"><h3><code>%v</code></h3><p>%v</p>", f.Code, f.Message)
		p.facts(f.Facts)
		p.put("<p><b>What makes it pass:</b> %v</p><p class=\"quiet\">%v, %v, found by <code>%v</code></p></div>\n", f.Remediation, f.Enforcement, f.Severity, f.Rule)
	}
	for _, f := range l.Warnings {
		p.put("<div class=\"finding failed\"><h3>Warning: <code>%v</code></h3><p>%v</p>", f.Code, f.Message)
		p.facts(f.Facts)
		p.put("</div>\n")
	}
	for _, w := range l.Waived {
		p.put("<p>Waived: <code>%v</code> by %v until %v</p>\n", w.Code, w.Waiver, w.Expires)
	}
	p.about(l)
	if l.Document != "" {
		p.put("<details><summary>Every fact that was decided on</summary><div class=\"body\"><pre tabindex=\"0\">%v</pre></div></details>\n", l.Document)
	}
	p.put("</div>\n</details>\n")
}

func (p *page) facts(list []Fact) {
	if len(list) == 0 {
		return
	}
	p.put("<dl>")
	for _, f := range list {
		p.put("<dt>%v</dt><dd><code>%v</code></dd>", f.Name, f.Value)
	}
	p.put("</dl>")
}

// about is what somebody on call looks at first.
func (p *page) about(l *Shown) {
	p.put("<dl><dt>Decision</dt><dd><code>%v</code></dd><dt>In the log</dt><dd>%v, line %v</dd><dt>Policy</dt><dd><code>%v</code></dd>", l.ID, l.File, l.Line, l.Policy)
	for _, f := range append([]Fact{{"Grants", l.Grants}, {"Instance", l.Instance}, {"Binding", l.Binding}}, l.Facts...) {
		if f.Value != "" {
			p.put("<dt>%v</dt><dd>%v</dd>", f.Name, f.Value)
		}
	}
	if l.PID != 0 {
		p.put("<dt>Process</dt><dd>%v</dd>", l.PID)
	}
	for _, name := range slices.Sorted(maps.Keys(l.DurationsUS)) {
		if us := l.DurationsUS[name]; us > 0 {
			p.put("<dt>%v</dt><dd>%v</dd>", name, took(time.Duration(us)*time.Microsecond))
		}
	}
	p.put("</dl>\n")
}
