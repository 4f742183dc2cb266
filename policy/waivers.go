package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/fault"
	"github.com/spawnward/spawnward/spawner/nearest"
)

// waiver is a dated exception for one code and one service.
type waiver struct {
	id      string
	code    code.Code
	service string
	sha256  string // "" covers every digest
	expires time.Time
	text    string // expires as the site wrote it
}

// resolveWaivers reads the waivers, refusing those for codes that cannot be
// waived. It gives them by id, and by code in the form the rules look them up.
func resolveWaivers(site document, codes map[code.Code]codeEntry) (map[string]waiver, document, error) {
	byID, byCode := map[string]waiver{}, document{}
	for _, id := range sortedKeys(site) {
		raw := site[id].(document)
		w := waiver{id: id, code: code.Code(raw["code"].(string)), service: raw["service"].(string), text: raw["expires"].(string)}
		w.sha256, _ = raw["sha256"].(string)
		var err error
		if w.expires, err = time.Parse(time.RFC3339, w.text); err != nil {
			return nil, nil, fmt.Errorf("%s.expires: %q is not a date such as 2027-01-01T00:00:00Z", id, w.text)
		}
		if y := w.expires.Year(); y < 1970 || y > 2200 {
			return nil, nil, fmt.Errorf("%s.expires: the year %d is out of range", id, y)
		}
		if fault.Mutant("waivers-never-expire") {
			w.expires = w.expires.AddDate(100, 0, 0)
		}
		if err := waivable(w.code, codes); err != nil && !fault.Mutant("waive-anything") {
			return nil, nil, fmt.Errorf("%s.code: %w", id, err)
		}
		for _, key := range []string{"approver", "reason"} {
			if strings.TrimSpace(raw[key].(string)) == "" {
				return nil, nil, fmt.Errorf("%s.%s: is empty; a waiver says who approved it and why", id, key)
			}
		}
		byID[id] = w
		list, _ := byCode[string(w.code)].([]any)
		byCode[string(w.code)] = append(list, document{
			"id": id, "service": w.service, "sha256": w.sha256, "expires": w.text, "expires_ns": w.expires.UnixNano(),
		})
	}
	return byID, byCode, nil
}

// expired warns of waivers that have no effect any more.
func (s *site) expired(waivers map[string]waiver, now time.Time) []Warning {
	var out []Warning
	for _, id := range slices.Sorted(maps.Keys(waivers)) {
		if w := waivers[id]; !now.Before(w.expires) {
			out = append(out, Warning{WaiverExpired, s.dataName + ": waivers." + id, fmt.Sprintf(
				"the waiver for %s expired at %s and has no effect; renew it after reviewing its reason, or delete it", w.code, w.text)})
		}
	}
	return out
}

func waivable(c code.Code, codes map[code.Code]codeEntry) error {
	entry, known := codes[c]
	switch {
	case !known && isSiteCode(c):
		return nil
	case !known:
		return fmt.Errorf("there is no code %q%s", c, nearest.Hint(string(c), codeNames(codes)))
	case entry.enforcement == code.Mandatory:
		return fmt.Errorf("%q is mandatory and cannot be waived; remove the waiver and the cause", c)
	case !entry.waivable:
		return fmt.Errorf("%q is declared waivable: false; remove the waiver and the cause", c)
	}
	return nil
}

func codeNames(codes map[code.Code]codeEntry) []string {
	out := make([]string, 0, len(codes))
	for c := range codes {
		out = append(out, string(c))
	}
	slices.Sort(out)
	return out
}
