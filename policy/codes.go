package policy

import (
	"strings"

	"github.com/spawnward/spawnward/spawner/code"
)

// codeEntry is what is known of a code. Rules see of it what they look up,
// enforcement and waivable, as data.launch.codes.
type codeEntry struct {
	severity    string
	enforcement code.Enforcement
	waivable    bool
	remediation string
	rule        string // package of the rule, without "data."; "" for site codes
	order       int
}

// Ranks of the codes in a decision's lists of findings.
const (
	rankPlacement = 0
	rankLibrary   = 100
	rankSite      = 1000
)

// libraryCodes gives the policy codes of the one table. The codes of placement
// come first, in the order that callers are promised.
func libraryCodes() map[code.Code]codeEntry {
	first := map[code.Code]int{
		code.BinaryPathEmpty: 0, code.AllowRootEmpty: 1, code.BinaryUnresolvable: 2, code.AllowRootUnresolvable: 3,
		code.AllowRootNotDirectory: 4, code.BinaryOutsideAllowRoot: 5,
	}
	entries := make(map[code.Code]codeEntry)
	for i, e := range code.Table() {
		if !e.Policy() {
			continue
		}
		order, ok := first[e.Code]
		if !ok {
			order = rankLibrary + i
		}
		entries[e.Code] = codeEntry{
			severity: e.Severity, enforcement: e.Enforcement, remediation: e.Fix, rule: ruleOf(e), order: order,
			waivable: e.Enforcement == code.Standard && e.Code != code.WaiverExpired,
		}
	}
	return entries
}

func ruleOf(e code.Entry) string {
	if e.Subject == "decision" {
		return "launch.main"
	}
	return "launch.rules." + e.Subject
}

// isSiteCode reports whether c has the form that is kept for a site's rules:
// site_[a-z0-9_]+.
func isSiteCode(c code.Code) bool {
	rest, ok := strings.CutPrefix(string(c), "site_")
	if !ok || rest == "" {
		return false
	}
	for _, r := range rest {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' {
			return false
		}
	}
	return true
}
