package report

import "time"

// Period is a part of the time that the report covers.
type Period struct {
	Begin                           time.Time
	Good, Monitored, Denied, Failed int
}

// N is how many launches fell into the period.
func (p Period) N() int { return p.Good + p.Monitored + p.Denied + p.Failed }

// maxPeriods is how many bars the chart may have.
const maxPeriods = 48

// periods divides the time into as many equal parts as can be told apart, of a
// length that people think in.
func periods(list []Launch, from, until time.Time) ([]Period, string) {
	if len(list) == 0 {
		return nil, ""
	}
	length, name := time.Minute, "minute"
	for _, l := range []struct {
		d    time.Duration
		name string
	}{
		{time.Minute, "minute"}, {5 * time.Minute, "five minutes"}, {15 * time.Minute, "quarter of an hour"}, {time.Hour, "hour"},
		{6 * time.Hour, "six hours"}, {24 * time.Hour, "day"}, {7 * 24 * time.Hour, "week"}, {30 * 24 * time.Hour, "30 days"}, {365 * 24 * time.Hour, "365 days"},
	} {
		length, name = l.d, l.name
		if until.Sub(from.Truncate(length)) < maxPeriods*length {
			break
		}
	}
	begin := from.Truncate(length)
	n := min(int(until.Sub(begin)/length)+1, maxPeriods)
	out := make([]Period, n)
	for i := range out {
		out[i].Begin = begin.Add(time.Duration(i) * length)
	}
	for _, l := range list {
		p := &out[min(int(l.When.Sub(begin)/length), n-1)]
		switch l.Kind() {
		case "launched", "reused":
			p.Good++
		case "monitored":
			p.Monitored++
		case "denied":
			p.Denied++
		default:
			p.Failed++
		}
	}
	return out, name
}
