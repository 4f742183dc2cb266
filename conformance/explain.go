package conformance

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spawnward/spawnward/spawner/code"
)

// explain says what a case that fails under the team's policy means: what the
// team gave up on purpose, what it tightened, or what it broke. The same case is
// played with the embedded library alone.
func (r *runner) explain(ctx context.Context, c *Case, n int, mine judged, out *Result) {
	// A tree of its own beside that of the first time.
	library, err := r.play(ctx, c, n+1_000_000, nil)
	switch {
	case err != nil:
		out.Seen = append(out.Seen, "with the embedded library alone: "+err.Error())
		return
	case len(library.seen) > 0:
		out.Reason = "it fails with the embedded library alone, too: that is the launcher's fault, not the policy's"
		return
	}
	out.Outcome, out.Difference = Broken, difference(library.answers, mine.answers)
	theirs := firstDifferent(library.answers, mine.answers)
	if theirs.mine == nil {
		out.Reason = "the policy changes what the case shows, but no answer"
		return
	}
	lost := without(theirs.library.denials(), theirs.mine.denials())
	added := without(theirs.mine.denials(), theirs.library.denials())
	switch {
	case len(lost) == 0 && theirs.mine.text("decision.mode") == "monitor" && lookUp(r.site.data, "config.mode") == "monitor":
		out.Outcome, out.Reason = Waived, strings.Join(theirs.mine.denials(), ", ")+" is given up by the setting config.mode: monitor"
	case len(lost) > 0:
		if why := r.purpose(lost, theirs.mine); why != "" {
			out.Outcome, out.Reason = Waived, why
			return
		}
		out.Reason = fmt.Sprintf("%s no longer denies, and neither a waiver nor a setting says so", strings.Join(lost, ", "))
	case len(added) > 0 && tightens(added):
		out.Outcome = Tighter
		out.Reason = "denied by " + strings.Join(added, ", ")
	case theirs.mine.code() != "":
		out.Reason = theirs.mine.code() + ": " + theirs.mine.text("error.message")
	default:
		out.Reason = "the answer differs"
	}
}

type pair struct{ library, mine *result }

// firstDifferent finds the first answers that differ.
func firstDifferent(library, mine []*result) pair {
	for i := range min(len(library), len(mine)) {
		if len(differs(library[i], mine[i])) > 0 {
			return pair{library[i], mine[i]}
		}
	}
	return pair{}
}

// difference lists how each answer differs.
func difference(library, mine []*result) []string {
	var out []string
	for i := range min(len(library), len(mine)) {
		for _, d := range differs(library[i], mine[i]) {
			out = append(out, fmt.Sprintf("answer %d: %s", i+1, d))
		}
	}
	return out
}

func differs(library, mine *result) []string {
	var out []string
	text := func(what, a, b string) {
		if a != b {
			out = append(out, fmt.Sprintf("%s: %q with the library alone, %q with this policy", what, a, b))
		}
	}
	text("outcome", library.outcome(), mine.outcome())
	text("error", library.code(), mine.code())
	for what, path := range map[string]string{"denial": "decision.violations", "warning": "decision.warnings", "waived": "decision.waived"} {
		for _, c := range without(library.codes(path), mine.codes(path)) {
			out = append(out, fmt.Sprintf("%s %s is gone", what, c))
		}
		for _, c := range without(mine.codes(path), library.codes(path)) {
			out = append(out, fmt.Sprintf("%s %s is new", what, c))
		}
	}
	slices.Sort(out)
	return out
}

func without(all, these []string) []string {
	var out []string
	for _, s := range all {
		if !slices.Contains(these, s) {
			out = append(out, s)
		}
	}
	return out
}

// tightens reports whether a policy may add all these denials: its own, and those
// of the library that settings switch on.
func tightens(codes []string) bool {
	return !slices.ContainsFunc(codes, func(c string) bool {
		e, known := code.Lookup(code.Code(c))
		return !strings.HasPrefix(c, "site_") && (!known || !e.Policy() || c == string(code.GrantMissing))
	})
}

// purpose names what gives up every one of these denials, or "".
func (r *runner) purpose(lost []string, answer *result) string {
	var why []string
	for _, c := range lost {
		reason := r.waiver(c, answer)
		if reason == "" {
			reason = r.setting(c, answer)
		}
		if reason == "" {
			return ""
		}
		why = append(why, c+" is given up by "+reason)
	}
	return strings.Join(why, "; ")
}

func (r *runner) waiver(c string, answer *result) string {
	list, _ := answer.at("decision.waived").([]any)
	for _, item := range list {
		if lookUp(item, "code") == c {
			return fmt.Sprintf("waiver %v until %v", lookUp(item, "waiver"), lookUp(item, "expires"))
		}
	}
	return ""
}

// setting finds the line of the team's configuration that gives a denial up.
func (r *runner) setting(c string, answer *result) string {
	for _, layer := range []string{"config.services.demo", "config.defaults"} {
		path := layer + ".enforcement." + c
		if lookUp(r.site.data, path) == "warn" && slices.Contains(answer.codes("decision.warnings"), c) {
			return "the setting " + path + ": warn"
		}
		for _, key := range loosening()[c] {
			if v := lookUp(r.site.data, layer+"."+key); v != nil {
				return fmt.Sprintf("the setting %s.%s: %v", layer, key, v)
			}
		}
	}
	return ""
}

// loosening lists the settings that may take a standard denial back.
func loosening() map[string][]string {
	return map[string][]string{
		"definition_source_not_permitted": {"definitions.sources"},
		"allow_root_too_broad":            {"roots.allow_broad"},
		"version_prerelease_not_allowed":  {"versions.allow_prerelease"},
		"binary_setuid":                   {"binary.allow_setuid"},
		"binary_file_capabilities":        {"binary.allow_setuid"},
		"binary_owner_untrusted":          {"binary.trusted_owners"},
		"ancestor_owner_untrusted":        {"binary.trusted_owners"},
		"definition_owner_untrusted":      {"binary.trusted_owners"},
		"ancestor_writable_by_others":     {"binary.trusted_owners"},
		"binary_is_script":                {"scripts"},
		"env_name_forbidden":              {"env.allow"},
		"binary_too_large":                {"binary.max_bytes"},
		"binding_too_weak":                {"binding.minimum"},
		"hook_not_listed":                 {"hooks.allow"},
	}
}
