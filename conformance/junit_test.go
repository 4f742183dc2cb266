package conformance

import (
	"bytes"
	"encoding/xml"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever was seen, build servers can read the report and find it there.
func TestJUnitIsXML(t *testing.T) {
	const odd = "a<b>&\"c'\n\td\x00\x1b\xff\ufffe]]>é"
	r := &Report{Millis: 1500, Results: []*Result{
		{ID: odd, Title: "one", Requires: []string{odd}, Outcome: Failed, File: odd, Seen: []string{odd}, Difference: []string{odd}},
		{ID: "B", Title: odd, Requires: []string{"O-01"}, Outcome: Skipped, Reason: odd},
		{ID: "C", Title: "three", Requires: []string{"O-01"}, Outcome: Waived, Reason: odd},
	}}
	var out bytes.Buffer
	require.NoError(t, r.WriteJUnit(&out))
	var doc struct {
		Suites []struct {
			Tests    int     `xml:"tests,attr"`
			Failures int     `xml:"failures,attr"`
			Skipped  int     `xml:"skipped,attr"`
			Time     float64 `xml:"time,attr"`
			Cases    []struct {
				Class   string `xml:"classname,attr"`
				Failure string `xml:"failure"`
				Skipped *struct {
					Message string `xml:"message,attr"`
				} `xml:"skipped"`
				Out string `xml:"system-out"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	require.NoError(t, xml.Unmarshal(out.Bytes(), &doc))
	const attribute, text = "a<b>&\"c'\n\td\uFFFD\uFFFD\uFFFD\uFFFD]]>é", "a<b>&\"c'\n\td??\uFFFD\uFFFD]]>é"
	s := doc.Suites[0]
	require.Equal(t, []any{3, 1, 1, 1.5}, []any{s.Tests, s.Failures, s.Skipped, s.Time})
	require.Equal(t, attribute, s.Cases[0].Class)
	require.Equal(t, text+"\n"+text+"\n"+text, s.Cases[0].Failure)
	require.Equal(t, attribute, s.Cases[1].Skipped.Message)
	require.Equal(t, "waived: "+text+"\n", s.Cases[2].Out)
}
