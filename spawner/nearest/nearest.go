// Package nearest finds the known name that somebody probably meant. It behaves
// the same on every operating system and has no state.
package nearest

import (
	"fmt"

	"github.com/agnivade/levenshtein"
)

// maxName bounds the names that are compared, in bytes; what somebody else
// wrote may have any length.
const maxName = 64

// Of returns the candidate with the smallest edit distance to word, the first
// of equals, if no more than half of the word would have to change; else "".
func Of(word string, candidates []string) string {
	if len(word) > maxName {
		return ""
	}
	best, limit := "", max(1, len(word)/2)
	for _, c := range candidates {
		if len(c) > maxName {
			continue
		}
		if d := levenshtein.ComputeDistance(word, c); d <= limit {
			best, limit = c, d-1
		}
	}
	return best
}

// Hint is "; did you mean …?" for the nearest candidate, or "".
func Hint(word string, candidates []string) string {
	if n := Of(word, candidates); n != "" {
		return fmt.Sprintf("; did you mean %q?", n)
	}
	return ""
}
