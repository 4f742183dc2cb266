package figures

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sample is one thing to time; after is not timed.
type sample struct {
	name  string
	do    func() time.Duration
	after func()
}

// inTurns takes each sample n times, one after the other, so that all of them
// see the same weather. The first round fills caches and does not count; each
// begins with another sample.
func inTurns(n int, samples []sample) map[string][]time.Duration {
	all := map[string][]time.Duration{}
	for i := range n + 1 {
		for j := range samples {
			s := samples[(i+j)%len(samples)]
			took := s.do()
			if s.after != nil {
				s.after()
			}
			if i > 0 {
				all[s.name] = append(all[s.name], took)
			}
		}
	}
	return all
}

// apart is the median of the differences between two samples of the same round.
func apart(longer, shorter []time.Duration) time.Duration {
	var d []time.Duration
	for i := range longer {
		d = append(d, longer[i]-shorter[i])
	}
	return median(d)
}

func median[T cmp.Ordered](list []T) T {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}

func TestMedian(t *testing.T) {
	require.Equal(t, 3, median([]int{9, 1, 3}))
	require.Equal(t, 4, median([]int{1, 4, 2, 9}))
	require.Equal(t, time.Duration(2), apart([]time.Duration{3, 9, 4}, []time.Duration{1, 2, 3}))
}

// spell writes a duration with three digits or so.
func spell(d time.Duration) string {
	switch ns := float64(d); {
	case d >= time.Second:
		return fmt.Sprintf("%.2f s", ns/1e9)
	case d >= 100*time.Millisecond:
		return fmt.Sprintf("%.0f ms", ns/1e6)
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", ns/1e6)
	case d >= time.Millisecond:
		return fmt.Sprintf("%.2f ms", ns/1e6)
	case d >= 100*time.Microsecond:
		return fmt.Sprintf("%.0f µs", ns/1e3)
	case d >= time.Microsecond:
		return fmt.Sprintf("%.1f µs", ns/1e3)
	}
	return fmt.Sprintf("%d ns", d.Nanoseconds())
}

// times writes a ratio with two digits or so.
func times(v, control float64) string {
	switch r := v / control; {
	case r >= 10:
		return fmt.Sprintf("%.0f", r)
	case r >= 1:
		return fmt.Sprintf("%.1f", r)
	case r >= 0.01:
		return fmt.Sprintf("%.2f", r)
	}
	return "< 0.01"
}
