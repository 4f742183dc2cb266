package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/code"
)

func at(minute int) time.Time { return time.Date(2026, 11, 1, 12, minute, 30, 0, time.UTC) }

func some() []Launch {
	waived := json.RawMessage(`{"violations":[],"waived":[{"code":"binary_hard_links","waiver":"W-1","expires":"2026-11-20T00:00:00Z"}],"grants":["placement"]}`)
	denied := json.RawMessage(`{"violations":[{"code":"digest_denied","message":"<b>no</b>","remediation":"take another","rule":"launch.rules.digest","evidence":{"sha256":"abc"}}]}`)
	return []Launch{
		{ID: "a1", When: at(0), Service: "redis", Version: "1.0.0", Verdict: "allowed", Outcome: "launched", Caller: "ann", DurationsUS: map[string]int64{"measure": 1500, "total": 9000}, Result: waived},
		{ID: "b2", When: at(1), Service: "redis", Version: "1.0.0", Verdict: "denied", Outcome: "denied", Caller: "bob", Codes: []code.Code{"digest_denied"}, Result: denied, Input: json.RawMessage(`{"binary":{"path":"/opt/</pre><script>x"}}`)},
		{ID: "c3", When: at(59), Service: "web", Version: "2.0.0", Verdict: "monitored", Outcome: "launched", Caller: "ann", Codes: []code.Code{"binary_setuid"}},
		{ID: "d4", When: at(59), Service: "web", Version: "2.0.0", Verdict: "allowed", Outcome: "failed", Caller: "ann", Codes: []code.Code{"exited_early"}, Message: "it said \x1b[31m\u202etxt.exe", DurationsUS: map[string]int64{"measure": 500}},
	}
}

func TestNew(t *testing.T) {
	r := New(some(), Options{Now: at(59), Limit: 3})
	require.Equal(t, 4, r.Total)
	require.Equal(t, 1, r.Left)
	require.Equal(t, []string{"c3", "d4", "b2"}, []string{r.Launches[0].ID, r.Launches[1].ID, r.Launches[2].ID}, "the newest first")
	names := map[string]int{}
	for _, c := range r.Outcomes {
		names[c.Name] = c.N
	}
	require.Equal(t, map[string]int{"launched": 1, "denied": 1, "monitored": 1, "failed": 1}, names)
	require.Equal(t, []string{"digest_denied", "exited_early"}, []string{r.Codes[0].Name, r.Codes[1].Name}, "what only was monitored denied nobody")
	require.NotEmpty(t, r.Codes[0].Fix)
	require.Equal(t, ServiceCount{Name: "redis", Good: 1, Denied: 1, Last: "b2"}, r.Services[0])
	require.Equal(t, "bob", r.Callers[0].Name)
	require.Equal(t, Step{Name: "measure", Median: 500 * time.Microsecond, High: 500 * time.Microsecond, Max: 1500 * time.Microsecond, Share: 1}, r.Steps[0], "the slowest is not shown, so nothing leads to it")
	require.Len(t, r.Waivers, 1)
	require.Equal(t, "soon", r.Waivers[0].State)
	total := 0
	for _, p := range r.Periods {
		total += p.N()
	}
	require.Equal(t, 4, total)
	require.Equal(t, "five minutes", r.PeriodName)
}

func TestPeriodsHoldEverything(t *testing.T) {
	for _, span := range []time.Duration{0, time.Second, time.Hour, 47 * time.Hour, 20 * 24 * time.Hour, 3 * 365 * 24 * time.Hour, 200 * 365 * 24 * time.Hour} {
		list := []Launch{{When: at(0), Outcome: "denied"}, {When: at(0).Add(span), Outcome: "failed"}, {When: at(0).Add(span / 2), Outcome: "reused"}}
		periods, name := periods(list, list[0].When, list[1].When)
		require.NotEmpty(t, name)
		require.LessOrEqual(t, len(periods), maxPeriods)
		n := 0
		for _, p := range periods {
			n += p.N()
		}
		require.Equal(t, 3, n, span)
	}
	none, _ := periods(nil, time.Time{}, time.Time{})
	require.Empty(t, none)
}

func TestPage(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, New(some(), Options{Now: at(59), Limit: 10, Filter: "service <x>"}).HTML(&out))
	page := out.String()
	require.NotContains(t, page, "<b>no</b>")
	require.NotContains(t, page, "<script>x")
	require.Contains(t, page, "&lt;b&gt;no&lt;/b&gt;")
	require.NotContains(t, page, "\x1b")
	require.NotContains(t, page, "\u202e")
	require.Contains(t, page, `<form id="filter" hidden>`, "without scripts there is no filter that does nothing")
	require.Contains(t, page, `id="d-b2"`)
	require.Contains(t, page, `href="#d-b2"`)
	for _, outside := range []string{"http://", "https://", "src=", "@import", "url("} {
		require.NotContains(t, page, outside, "the page asks for nothing")
	}
	wellFormed(t, page)

	out.Reset()
	require.NoError(t, New(nil, Options{Now: at(0)}).HTML(&out))
	require.Contains(t, out.String(), "Nothing is logged")
	wellFormed(t, out.String())
}

// wellFormed demands that every element is closed where it should be.
func wellFormed(t *testing.T, page string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(page))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	depth := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		switch token.(type) {
		case xml.StartElement:
			depth++
		case xml.EndElement:
			depth--
		}
	}
	require.Zero(t, depth)
}

func TestManyAreCountedAndFewShown(t *testing.T) {
	var list []Launch
	for i := range 5000 {
		list = append(list, Launch{ID: fmt.Sprint(i), When: at(0).Add(time.Duration(i) * time.Second), Service: "s", Outcome: "launched", Verdict: "allowed"})
	}
	r := New(list, Options{Now: at(0), Limit: 20})
	require.Len(t, r.Launches, 20)
	require.Equal(t, 4980, r.Left)
	require.Equal(t, 5000, r.Outcomes[0].N)
}
