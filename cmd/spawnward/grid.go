package main

import (
	"fmt"
	"os"
	"strings"
	"time"
	"unicode/utf8"
)

// paint says what a cell means; it is shown as a colour on a terminal.
type paint string

// The meanings, as the codes of ECMA-48.
const (
	noPaint  paint = ""
	goodNews paint = "32" // green
	attend   paint = "33" // yellow
	badNews  paint = "31" // red
	faint    paint = "2"
	heading  paint = "1" // bold
)

type cell struct {
	text  string
	paint paint
}

// grid is a table for people. On a terminal it is never wider than that: the
// columns named in cut lose their ends, the first of them first.
type grid struct {
	head []string
	rows [][]cell
	cut  []int
}

// shortest is what a column that is cut keeps, in characters.
const shortest = 12

func (a *app) printGrid(g grid) error {
	width, terminal := terminalWidth(a.stdout)
	return a.printf("%s", g.text(width, terminal && a.colourful()))
}

// brush gives a word the colour of its meaning.
type brush func(paint, string) string

// brush is for words that go to w; only on a terminal does it paint.
func (a *app) brush(w any) brush {
	_, terminal := terminalWidth(w)
	if !terminal || !a.colourful() {
		return unpainted
	}
	return painted
}

func unpainted(_ paint, text string) string { return text }

func painted(p paint, text string) string {
	if p == noPaint || text == "" {
		return text
	}
	return "\x1b[" + string(p) + "m" + text + "\x1b[0m"
}

// colourful is false where the user asks for no colour.
func (a *app) colourful() bool {
	none, _ := a.getenv("NO_COLOR")
	term, _ := a.getenv("TERM")
	return none == "" && term != "dumb"
}

// text lays the table out; a width of 0 is no limit.
func (g grid) text(width int, colour bool) string {
	rows := make([][]cell, 0, len(g.rows)+1)
	head := make([]cell, len(g.head))
	for i, h := range g.head {
		head[i] = cell{h, heading}
	}
	rows = append(rows, head)
	for _, r := range g.rows {
		clean := make([]cell, len(r))
		for i, c := range r {
			clean[i] = cell{safe(c.text, false), c.paint}
		}
		rows = append(rows, clean)
	}
	widths := g.widths(rows, width)
	var b strings.Builder
	for _, r := range rows {
		var line strings.Builder
		for i, c := range r {
			text := cutTo(c.text, widths[i])
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(text)+2)
			if colour {
				text = painted(c.paint, text)
			}
			line.WriteString(text)
			if i < len(r)-1 {
				line.WriteString(pad)
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}

func (g grid) widths(rows [][]cell, limit int) []int {
	widths := make([]int, len(g.head))
	for _, r := range rows {
		for i, c := range r {
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	if limit == 0 {
		return widths
	}
	total := 2 * (len(widths) - 1)
	for _, w := range widths {
		total += w
	}
	for _, column := range g.cut {
		if over := total - limit; over > 0 && widths[column] > shortest {
			less := min(over, widths[column]-shortest)
			widths[column] -= less
			total -= less
		}
	}
	return widths
}

// cutTo shortens a text to n characters, the last of which then says so.
func cutTo(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	return string([]rune(text)[:n-1]) + "…"
}

// ago is a duration as people say it, in the two largest units.
func ago(d time.Duration) string {
	switch {
	case d < time.Second:
		return "0s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

// terminalWidth tells whether w is a terminal and how many characters a line of
// it holds; 0 is unknown.
func terminalWidth(w any) (columns int, terminal bool) {
	f, ok := w.(*os.File)
	if !ok {
		return 0, false
	}
	return fileWidth(f)
}
