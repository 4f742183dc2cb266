package conformance

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// result is what a launcher said after one request.
type result struct {
	exit           int
	judged         bool // exit is a real status, not one that was made up
	stdout, stderr string
	doc            any // the JSON document, nil when there is none
}

// at looks a path up in the document: "decision.violations.0.code".
func (r *result) at(path string) any { return lookUp(r.doc, path) }

func lookUp(v any, path string) any {
	for part := range strings.SplitSeq(path, ".") {
		switch inner := v.(type) {
		case map[string]any:
			v = inner[part]
		case []any:
			i, err := strconv.Atoi(part)
			if part == "len" {
				return float64(len(inner))
			}
			if err != nil || i < 0 || i >= len(inner) {
				return nil
			}
			v = inner[i]
		default:
			return nil
		}
	}
	return v
}

func (r *result) text(path string) string {
	s, _ := r.at(path).(string)
	return s
}

// codes lists the codes of findings, in their order.
func (r *result) codes(path string) []string {
	list, _ := r.at(path).([]any)
	out := []string{}
	for _, item := range list {
		if m, ok := item.(map[string]any); ok {
			s, _ := m["code"].(string)
			out = append(out, s)
		}
	}
	return out
}

func (r *result) denials() []string { return r.codes("decision.violations") }

func (r *result) pid() int {
	n, _ := r.at("identity.pid").(float64)
	return int(n)
}

// code is that of the error, or of the first denial.
func (r *result) code() string {
	if c := r.text("error.code"); c != "" {
		return c
	}
	if d := r.denials(); len(d) > 0 {
		return d[0]
	}
	// Printed for people: "spawnward: [code] …" or "code: …".
	return ""
}

func (r *result) outcome() string { return r.text("outcome") }

// succeeded reports whether there is a backend now.
func (r *result) succeeded() bool {
	return slices.Contains([]string{"launched", "reused"}, r.outcome())
}

func (r *result) decode() {
	if json.Unmarshal([]byte(r.stdout), &r.doc) != nil {
		r.doc = nil
	}
}
