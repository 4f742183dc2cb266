package report

import "strconv"

// The chart's measures, in units of its own.
const (
	chartWidth  = 960
	chartHeight = 160
)

// Bar is a part of one period's column.
type Bar struct {
	Kind string // good, monitored, denied, failed
	X, Y string
	W, H string
}

// Chart is what the template draws: stacked columns, the most telling at the
// bottom.
type Chart struct {
	Bars   []Bar
	Most   int
	Width  int
	Height int
}

func chartOf(periods []Period) Chart {
	c := Chart{Width: chartWidth, Height: chartHeight}
	for _, p := range periods {
		c.Most = max(c.Most, p.N())
	}
	if c.Most == 0 {
		return c
	}
	slot := float64(chartWidth) / float64(len(periods))
	width := min(slot*0.8, 40)
	for i, p := range periods {
		y := float64(chartHeight)
		for _, part := range []struct {
			kind string
			n    int
		}{{"denied", p.Denied}, {"failed", p.Failed}, {"monitored", p.Monitored}, {"good", p.Good}} {
			h := float64(part.n) / float64(c.Most) * chartHeight
			if part.n == 0 {
				continue
			}
			y -= h
			c.Bars = append(c.Bars, Bar{part.kind, text(float64(i)*slot + (slot-width)/2), text(y), text(width), text(h)})
		}
	}
	return c
}

func text(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) }
