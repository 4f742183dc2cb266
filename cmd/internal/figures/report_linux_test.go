package figures

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// report gathers what a run measured.
type report struct {
	bars   []bar
	tables []table
}

type table struct {
	title string
	head  []string
	rows  [][]string
	after string // a text below
}

// time notes what was measured of a bar, beside the C program.
func (r *report) time(id string, measured, control time.Duration) {
	r.note(id, float64(measured), float64(control), "")
}

// note notes what was measured of a bar.
func (r *report) note(id string, measured, control float64, beside string) {
	for i := range r.bars {
		if b := &r.bars[i]; b.id == id {
			b.measured, b.control, b.beside, b.known = measured, control, beside, true
			return
		}
	}
	panic("there is no bar " + id)
}

func (r *report) table(t table) { r.tables = append(r.tables, t) }

// markdown is the whole report.
func (r *report) markdown(machine, load string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "On %s;\nload before it began: %s. Medians. "+
		"The control is a static C program of a few lines, from\nits start to its end, "+
		"in turns with each row; where the bars were set it took 0.4 to 0.6 ms.\n"+
		"Beside a time over its bar stands what it would be, scaled, at a control of 0.5 ms.\n\n", machine, load)
	var rows [][]string
	for _, b := range r.bars {
		if b.known {
			rows = append(rows, b.row())
		}
	}
	if len(rows) > 0 {
		out.WriteString(table{"Bars", []string{"what", "bar", "measured", "control", "to the control", ""}, rows, ""}.markdown())
	}
	for _, t := range r.tables {
		out.WriteString("\n" + t.markdown())
	}
	return out.String()
}

func (t table) markdown() string {
	var out strings.Builder
	fmt.Fprintf(&out, "#### %s\n\n| %s |\n|%s\n", t.title, strings.Join(t.head, " | "), strings.Repeat("---|", len(t.head)))
	for _, r := range t.rows {
		fmt.Fprintf(&out, "| %s |\n", strings.Join(r, " | "))
	}
	if t.after != "" {
		out.WriteString("\n" + t.after + "\n")
	}
	return out.String()
}

// summary names the bars that were missed.
func (r *report) summary() string {
	var out strings.Builder
	met, known := 0, 0
	for _, b := range r.bars {
		switch {
		case !b.known:
			continue
		case b.met():
			met++
		default:
			fmt.Fprintf(&out, "  %s: %s, bar %s: %s\n", b.what, b.show(b.measured), b.bound(), strings.ReplaceAll(b.verdict(), "*", ""))
		}
		known++
	}
	return fmt.Sprintf("%d of %d bars met, %d not measured in this run\n%s", met, known, len(r.bars)-known, out.String())
}

const (
	readme = "../../../README.md"
	begins = "<!-- figures: made by go test ./cmd/internal/figures -figures -update -v -timeout 20m -->\n"
	ends   = "<!-- end of figures -->"
)

// intoREADME puts the report between its marks.
func intoREADME(text string) error {
	data, err := os.ReadFile(readme)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(data), begins)
	_, after, closed := strings.Cut(rest, ends)
	if !ok || !closed {
		return errors.New("the README has no place for figures")
	}
	return os.WriteFile(readme, []byte(before+begins+text+ends+after), 0o644)
}

func TestREADMEHasAPlaceForFigures(t *testing.T) {
	data, err := os.ReadFile(readme)
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(data), begins))
	require.Equal(t, 1, strings.Count(string(data), ends))
}

func TestBarsAreJudged(t *testing.T) {
	for _, c := range []struct {
		bar  bar
		row  string
		says string
	}{
		{bar{what: "w", limit: 7e6, measured: 6.5e6, control: 7e5}, "w|≤ 7 ms|6.50 ms|700 µs|9.3|met", ""},
		{bar{what: "w", limit: 7e6, measured: 9e6, control: 7e5}, "w|≤ 7 ms|9.00 ms|700 µs|13|met at a control of 0.5 ms: 6.43 ms", "  w: 9.00 ms, bar ≤ 7 ms: met at a control of 0.5 ms: 6.43 ms\n"},
		{bar{what: "w", limit: 7e6, measured: 9e6, control: 5e5}, "w|≤ 7 ms|9.00 ms|500 µs|18|**missed**; at a control of 0.5 ms: 9.00 ms", "  w: 9.00 ms, bar ≤ 7 ms: missed; at a control of 0.5 ms: 9.00 ms\n"},
		{bar{what: "w", limit: 0.92, in: inTimes, atLeast: true, measured: 0.93, beside: "1.8 GB/s"}, "w|≥ 0.92 ×|0.93 ×|1.8 GB/s|–|met", ""},
		{bar{what: "w", limit: 0.92, in: inTimes, atLeast: true, measured: 0.91}, "w|≥ 0.92 ×|0.91 ×|–|–|**missed**", "  w: 0.91 ×, bar ≥ 0.92 ×: missed\n"},
		{bar{what: "w", limit: 25, in: inMiB, measured: 29}, "w|≤ 25.00 MiB|29.00 MiB|–|–|**missed**", "  w: 29.00 MiB, bar ≤ 25.00 MiB: missed\n"},
	} {
		require.Equal(t, c.row, strings.Join(c.bar.row(), "|"))
		c.bar.known = true
		met := 0
		if c.says == "" {
			met = 1
		}
		require.Equal(t, fmt.Sprintf("%d of 1 bars met, 0 not measured in this run\n", met)+c.says, (&report{bars: []bar{c.bar}}).summary())
	}
}
