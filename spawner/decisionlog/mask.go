package decisionlog

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spawnward/spawnward/spawner/admission"
)

// maskedInput is an input without the values of its variables.
type maskedInput struct {
	*admission.Input
	Env      []maskedVar `json:"env"`
	EnvFacts maskedFacts `json:"env_facts"`
}

type maskedVar struct {
	Name   string `json:"name"`
	Origin string `json:"origin"`
}

type maskedFacts struct {
	admission.EnvFacts
	Foreign []maskedVar `json:"foreign"`
}

// maskInput leaves the values out and lists where they stood, as OPA's masking
// does with "remove". What a hook said may repeat one; there it is masked.
func maskInput(in *admission.Input) (m *maskedInput, erased, masked []string) {
	erased = make([]string, 0, len(in.Env)+len(in.EnvFacts.Foreign))
	without := func(at string, vars []admission.EnvVar) []maskedVar {
		out := make([]maskedVar, len(vars))
		for i, v := range vars {
			out[i] = maskedVar{v.Name, v.Origin}
			erased = append(erased, fmt.Sprintf("/input/%s/%d/value", at, i))
		}
		return out
	}
	shown := *in
	shown.Hooks, masked = slices.Clone(in.Hooks), []string{}
	values := newMasker(in.EnvFacts.Foreign)
	for i := range shown.Hooks {
		values.hit = false
		shown.Hooks[i].Detail = values.text(shown.Hooks[i].Detail)
		if values.hit {
			masked = append(masked, fmt.Sprintf("/input/hooks/%d/detail", i))
		}
	}
	m = &maskedInput{Input: &shown, Env: without("env", in.Env), EnvFacts: maskedFacts{EnvFacts: in.EnvFacts}}
	m.EnvFacts.Foreign = without("env_facts/foreign", in.EnvFacts.Foreign)
	return m, erased, masked
}

// shortest is the length from which on a value is looked for in texts. A shorter
// one stands in too many of them by chance, and keeps no secret.
const shortest = 4

const replacement = "[masked]"

// repeats: a site's rules write what they like into their findings, and the
// library's rules on hooks what a hook said. The others write no values.
func repeats(rule string) bool {
	return strings.HasPrefix(rule, "site.") || strings.HasPrefix(rule, "launch.rules.hook")
}

// maskResult takes the values of variables out of findings.
func maskResult(d *admission.Decision, in *admission.Input) (*admission.Decision, []string) {
	masked := []string{}
	m := newMasker(in.EnvFacts.Foreign)
	out := *d
	findings := func(name string, list []admission.Finding) []admission.Finding {
		list = slices.Clone(list)
		for i, f := range list {
			if len(m.values) == 0 || !repeats(f.Rule) {
				continue
			}
			m.hit = false
			list[i].Message = m.text(f.Message)
			if m.hit {
				masked = append(masked, fmt.Sprintf("/result/%s/%d/message", name, i))
			}
			m.hit = false
			evidence, _ := m.value(f.Evidence).(map[string]any)
			list[i].Evidence = evidence
			if m.hit {
				masked = append(masked, fmt.Sprintf("/result/%s/%d/evidence", name, i))
			}
		}
		return list
	}
	out.Violations, out.Warnings = findings("violations", d.Violations), findings("warnings", d.Warnings)
	return &out, masked
}

type masker struct {
	values []string
	hit    bool
}

func newMasker(vars []admission.EnvVar) *masker {
	m := &masker{}
	for _, v := range vars {
		if len(v.Value) >= shortest {
			m.values = append(m.values, spellings(v.Value)...)
		}
	}
	// The longest first: one value may contain another.
	slices.SortFunc(m.values, func(a, b string) int { return len(b) - len(a) })
	return m
}

// spellings are the forms in which texts that are made of a value have it: as it
// is, and with the escapes of JSON and of Rego's sprintf.
func spellings(value string) []string {
	out := []string{value}
	add := func(quoted string) {
		if inner := quoted[1 : len(quoted)-1]; !slices.Contains(out, inner) {
			out = append(out, inner)
		}
	}
	for _, html := range []bool{true, false} {
		var b strings.Builder
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(html)
		if enc.Encode(value) == nil {
			add(strings.TrimSuffix(b.String(), "\n"))
		}
	}
	add(strconv.Quote(value))
	add(strconv.QuoteToASCII(value))
	return out
}

func (m *masker) text(s string) string {
	for _, v := range m.values {
		if strings.Contains(s, v) {
			s, m.hit = strings.ReplaceAll(s, v, replacement), true
		}
	}
	return s
}

func (m *masker) value(v any) any {
	switch v := v.(type) {
	case string:
		return m.text(v)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = m.value(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			out[m.text(k)] = m.value(v[k])
		}
		return out
	}
	return v
}
