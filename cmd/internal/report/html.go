package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html"
	"io"
	"strings"
	"unicode"
)

var (
	//go:embed style.css
	style string
	//go:embed filter.js
	script string
)

// page is a page being written. (A template of the standard library would make
// the linker keep every method of the command: four megabytes.)
type page struct{ strings.Builder }

// put writes HTML. The format is ours; every argument is escaped.
func (p *page) put(format string, args ...any) {
	for i, arg := range args {
		args[i] = html.EscapeString(fmt.Sprint(arg))
	}
	p.WriteString(fmt.Sprintf(format, args...))
}

// HTML writes the page. The error is that of w.
func (r *Report) HTML(w io.Writer) error {
	p := &page{}
	p.head()
	p.put("<body>\n<a class=\"skip\" href=\"#decisions\">Skip to the decisions</a>\n<header>\n<h1>Launches</h1>\n<p class=\"quiet\">%v. Made %v UTC.</p>\n</header>\n<main>\n", r.about(), stamp(r.Now))
	p.put("<ul class=\"cards\">\n")
	for _, c := range r.Outcomes {
		p.put("<li class=\"%v\"><b>%v</b> %v</li>\n", c.Name, c.N, c.Name)
	}
	p.put("</ul>\n")
	p.overTime(r)
	p.codes(r.Codes)
	p.names("services", "Services", r.Services)
	p.names("callers", "Callers", r.Callers)
	p.steps(r.Steps)
	p.waivers(r.Waivers, r.Now)
	p.decisions(r)
	p.put("</main>\n<script>")
	p.WriteString(script)
	p.put("</script>\n</body>\n</html>\n")
	if _, err := io.WriteString(w, strings.Map(harmless, p.String())); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

func (p *page) head() {
	p.put("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"%v\">\n", guard())
	p.put("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"referrer\" content=\"no-referrer\">\n<title>Launches: report from the decision log</title>\n<style>")
	p.WriteString(style)
	p.put("</style>\n</head>\n")
}

func (r *Report) about() string {
	text := "Nothing is logged"
	if r.Total > 0 {
		text = fmt.Sprintf("%s from %s to %s UTC", plural(r.Total, "decision"), stamp(r.From), stamp(r.Until))
	}
	if r.Filter != "" {
		text += ", " + r.Filter
	}
	return text
}

// guard is the page's content security policy: nothing is loaded, and only this
// style and this script work, whatever a text of the log might become.
func guard() string {
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return "default-src 'none'; style-src " + hash(style) + "; script-src " + hash(script) + "; base-uri 'none'; form-action 'none'"
}

// harmless replaces what is not shown but changes how its surroundings are:
// control characters and those that turn the direction of writing.
func harmless(r rune) rune {
	if r != '\n' && r != '\t' && (unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Bidi_Control, r)) {
		return unicode.ReplacementChar
	}
	return r
}
