package nearest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOf(t *testing.T) {
	long := strings.Repeat("x", maxName)
	for name, c := range map[string]struct {
		word       string
		candidates []string
		want       string
	}{
		"a letter missing":         {"versio", []string{"service", "version"}, "version"},
		"two letters swapped":      {"verison", []string{"service", "version"}, "version"},
		"the same":                 {"probe", []string{"probes", "probe"}, "probe"},
		"the first of equals":      {"cat", []string{"bat", "car"}, "bat"},
		"half may change":          {"abcd", []string{"abxy"}, "abxy"},
		"more than half may not":   {"abcd", []string{"axyz"}, ""},
		"one letter":               {"a", []string{"b"}, "b"},
		"nothing near":             {"hello", []string{"probe", "version"}, ""},
		"no candidates":            {"hello", nil, ""},
		"as long as is looked at":  {long, []string{long[1:]}, long[1:]},
		"longer":                   {long + "x", []string{long}, ""},
		"longer candidate":         {long, []string{long + "x"}, ""},
		"what is not UTF-8":        {"\xff\xfe\xfd", []string{"probe"}, ""},
		"letters beyond the ASCII": {"größe", []string{"größer"}, "größer"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, Of(c.word, c.candidates))
		})
	}
	require.Equal(t, `; did you mean "version"?`, Hint("versoin", []string{"version"}))
	require.Empty(t, Hint("hello", nil))
}
