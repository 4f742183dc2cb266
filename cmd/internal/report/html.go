package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"
	"unicode"
)

var (
	//go:embed page.html
	page string
	//go:embed style.css
	style string
	//go:embed filter.js
	script string
)

// HTML writes the page.
func (r *Report) HTML(w io.Writer) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"time":   func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") },
		"iso":    func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"day":    func(t time.Time) string { return t.UTC().Format("2006-01-02") },
		"took":   took,
		"us":     func(us int64) string { return took(time.Duration(us) * time.Microsecond) },
		"width":  func(share float64) string { return fmt.Sprintf("%.1f", 100*share) },
		"chart":  chartOf,
		"plural": plural,
		"left":   func(t time.Time) string { return until(t.Sub(r.Now)) },
		"style":  func() template.CSS { return template.CSS(style) },
		"script": func() template.JS { return template.JS(script) },
		"args":   func(id, title string, rows []ServiceCount) who { return who{id, title, rows} },
		"guard":  func() string { return guard(style, script) },
	}).Parse(page)
	if err != nil {
		return fmt.Errorf("read the page: %w", err)
	}
	var text strings.Builder
	if err := t.Execute(&text, r); err != nil {
		return fmt.Errorf("make the page: %w", err)
	}
	if _, err := io.WriteString(w, strings.Map(harmless, text.String())); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

// harmless replaces what is not shown but changes how its surroundings are:
// control characters and those that turn the direction of writing.
func harmless(r rune) rune {
	if r != '\n' && r != '\t' && (unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Bidi_Control, r)) {
		return unicode.ReplacementChar
	}
	return r
}

// guard is the page's content security policy: nothing is loaded, and only this
// style and this script work, whatever a text of the log might become.
func guard(style, script string) string {
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return "default-src 'none'; style-src " + hash(style) + "; script-src " + hash(script) + "; base-uri 'none'; form-action 'none'"
}

func took(d time.Duration) string {
	switch {
	case d >= time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d >= time.Millisecond:
		return fmt.Sprintf("%.2f ms", float64(d)/1e6)
	}
	return fmt.Sprintf("%d µs", d.Microseconds())
}

func until(d time.Duration) string {
	days := int(d.Hours() / 24)
	switch {
	case d <= 0:
		return "ended"
	case days == 0:
		return "less than a day left"
	}
	return plural(days, "day") + " left"
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// who is one of the two tables of names.
type who struct {
	ID, Title string
	Rows      []ServiceCount
}
