package report

import "time"

// section opens a section with its heading.
func (p *page) section(id, title string) {
	p.put("<section aria-labelledby=\"h-%v\">\n<h2 id=\"h-%v\">%v</h2>\n", id, id, title)
}

// table opens a table. A head that begins with # stands over numbers, an empty
// one over a bar.
func (p *page) table(class, caption string, head ...string) {
	p.put("<div class=\"wide\"><table class=\"%v\">\n<caption>%v</caption>\n<thead><tr>", class, caption)
	for _, h := range head {
		switch {
		case h == "":
			p.put("<th class=\"m\" aria-hidden=\"true\"></th>")
		case h[0] == '#':
			p.put("<th scope=\"col\" class=\"n\">%v</th>", h[1:])
		default:
			p.put("<th scope=\"col\">%v</th>", h)
		}
	}
	p.put("</tr></thead>\n<tbody>\n")
}

func (p *page) endTable() { p.put("</tbody>\n</table></div>\n") }

func (p *page) none() { p.put("<p>None.</p>\n") }

func (p *page) bar(share float64) {
	p.put("<td class=\"m\" aria-hidden=\"true\"><meter min=\"0\" max=\"100\" value=\"%v\"></meter></td>", text(100*share))
}

// link leads to a decision of the page; without one the cell is empty.
func (p *page) link(id string) {
	if id == "" {
		p.put("<td></td>")
		return
	}
	p.put("<td><a href=\"#d-%v\">decision</a></td>", id)
}

func (p *page) numbers(list ...int) {
	for _, n := range list {
		p.put("<td class=\"n\">%v</td>", n)
	}
}

func (p *page) overTime(r *Report) {
	if len(r.Periods) == 0 {
		return
	}
	c := chartOf(r.Periods)
	p.section("time", "Over time")
	p.put("<svg viewBox=\"0 0 %v %v\" preserveAspectRatio=\"none\" role=\"img\" aria-labelledby=\"c-title\"><title id=\"c-title\">Launches for each %v; the table below has the numbers</title>", c.Width, c.Height, r.PeriodName)
	for _, b := range c.Bars {
		p.put("<rect class=\"%v\" x=\"%v\" y=\"%v\" width=\"%v\" height=\"%v\"/>", b.Kind, b.X, b.Y, b.W, b.H)
	}
	p.put("</svg>\n<div class=\"axis\"><span>%v</span><span>at most %v for each %v</span><span>%v</span></div>\n", stamp(r.From), c.Most, r.PeriodName, stamp(r.Until))
	p.put("<ul class=\"legend\"><li class=\"good\">launched or reused</li><li class=\"monitored\">monitored: denied, and launched all the same</li><li class=\"failed\">failed</li><li class=\"denied\">denied</li></ul>\n")
	p.put("<details><summary>The numbers</summary><div class=\"body\">\n")
	p.table("", "Launches for each "+r.PeriodName+", UTC", "from", "#launched", "#monitored", "#failed", "#denied")
	for _, period := range r.Periods {
		if period.N() > 0 {
			p.put("<tr><th scope=\"row\">%v</th>", stamp(period.Begin))
			p.numbers(period.Good, period.Monitored, period.Failed, period.Denied)
			p.put("</tr>\n")
		}
	}
	p.endTable()
	p.put("</div></details>\n</section>\n")
}

func (p *page) codes(list []Count) {
	p.section("codes", "Reasons of denials and failures")
	if len(list) == 0 {
		p.none()
	} else {
		p.table("stack", "How often each code was among the reasons", "code", "#times", "", "what makes it pass", "newest")
		for _, c := range list {
			p.put("<tr><th scope=\"row\"><code>%v</code></th>", c.Name)
			p.numbers(c.N)
			p.bar(c.Share)
			p.put("<td class=\"fix\">%v</td>", c.Fix)
			p.link(c.Last)
			p.put("</tr>\n")
		}
		p.endTable()
	}
	p.put("</section>\n")
}

func (p *page) names(id, title string, list []ServiceCount) {
	p.section(id, title)
	if len(list) == 0 {
		p.none()
	} else {
		p.table("", "Most denials first", "name", "#denied", "#failed", "#monitored", "#launched", "newest denial")
		for _, c := range list {
			p.put("<tr><th scope=\"row\">%v</th>", c.Name)
			p.numbers(c.Denied, c.Failed, c.Monitored, c.Good)
			p.link(c.Last)
			p.put("</tr>\n")
		}
		p.endTable()
	}
	p.put("</section>\n")
}

func (p *page) steps(list []Step) {
	p.section("steps", "Slowest steps")
	if len(list) == 0 {
		p.put("<p>No times are logged.</p>\n")
	} else {
		p.table("", "What each step of the launches took", "step", "#median", "#95 of 100 below", "", "#slowest")
		for _, s := range list {
			p.put("<tr><th scope=\"row\">%v</th><td class=\"n\">%v</td><td class=\"n\">%v</td>", s.Name, took(s.Median), took(s.High))
			p.bar(s.Share)
			if s.Slowest == "" {
				p.put("<td class=\"n\">%v</td></tr>\n", took(s.Max))
			} else {
				p.put("<td class=\"n\"><a href=\"#d-%v\">%v</a></td></tr>\n", s.Slowest, took(s.Max))
			}
		}
		p.endTable()
	}
	p.put("</section>\n")
}

func (p *page) waivers(list []Waiver, now time.Time) {
	p.section("waivers", "Waivers that were used")
	if len(list) == 0 {
		p.none()
	} else {
		p.table("stack", "The first to end stands first", "waiver", "code", "ends", "#used", "newest")
		for _, w := range list {
			p.put("<tr><th scope=\"row\">%v</th><td><code>%v</code></td>", w.ID, w.Code)
			p.put("<td>%v <span class=\"tag %v\">%v</span></td>", w.Expires.UTC().Format(time.DateOnly), w.State, left(w.Expires.Sub(now)))
			p.numbers(w.Used)
			p.link(w.Last)
			p.put("</tr>\n")
		}
		p.endTable()
	}
	p.put("</section>\n")
}
