package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
)

// Remedy is a change that would let a launch pass a rule.
type Remedy struct {
	Code code.Code `json:"code"`
	// Kind is "configuration", "definition", "waiver" or "machine".
	Kind string `json:"kind"`
	// Change says in one sentence what to do.
	Change string `json:"change"`
	// File is where Snippet belongs: the definition, or data.yaml of the site;
	// both are "" when no file needs to change.
	File    string `json:"file"`
	Snippet string `json:"snippet"`
}

// waiverDays is how long a proposed waiver holds.
const waiverDays = 30

// Remedies lists what would make a denied launch pass, a change of configuration
// or definition before a waiver. Each helps against the finding of its code
// alone. Whether one is right is for people to say.
func (e *Engine) Remedies(d *admission.Decision, in *admission.Input) []Remedy {
	out := []Remedy{}
	for _, v := range d.Violations {
		r := Remedy{Code: v.Code, Kind: "machine", Change: v.Remediation}
		m := remedier{in, e.config.of(in.Request.Service).rules}
		if setting, value := m.setting(v); setting != "" {
			r.Kind, r.File, r.Snippet = "configuration", "data.yaml", m.snippet(setting, value)
		} else if text := m.definition(v); text != "" {
			r.Kind, r.File, r.Snippet = "definition", in.Service.Path, text
		}
		out = append(out, r)
		if entry := e.codes[v.Code]; entry.waivable && entry.enforcement == code.Standard {
			out = append(out, m.waiver(v))
		}
	}
	return out
}

type remedier struct {
	in  *admission.Input
	now document // the effective configuration
}

func (m *remedier) list(section, name string) []any {
	s, _ := m.now[section].(document)
	return anys(s[name])
}

// with adds to a list, which a service's own replaces.
func with(list []any, v any) any {
	return append(slices.Clone(list), v)
}

// setting gives the configuration that a finding asks for.
func (m *remedier) setting(f admission.Finding) (path string, value any) {
	in := m.in
	switch f.Code {
	case code.DigestNotListed:
		return "digests.allow", document{in.Binary.SHA256: document{}}
	case code.AllowRootTooBroad:
		return "roots.allow_broad", with(m.list("roots", "allow_broad"), in.Root.Path)
	case code.AllowRootNotPermitted:
		return "roots.allowed", with(m.list("roots", "allowed"), in.Root.Path)
	case code.DefinitionSourceNotPermitted:
		return "definitions.sources", with(m.list("definitions", "sources"), in.Service.Source)
	case code.DefinitionOwnerUntrusted:
		return "binary.trusted_owners", with(m.list("binary", "trusted_owners"), in.Service.OwnerUID)
	case code.BinaryOwnerUntrusted:
		return "binary.trusted_owners", with(m.list("binary", "trusted_owners"), in.Binary.UID)
	case code.BinarySetuid, code.BinaryFileCapabilities:
		return "binary.allow_setuid", true
	case code.BinaryTooLarge:
		return "binary.max_bytes", in.Binary.Size
	case code.VersionPrereleaseNotAllowed:
		return "versions.allow_prerelease", true
	case code.CallerNotPermitted:
		return "callers.uids", with(m.list("callers", "uids"), in.Caller.UID)
	case code.CallerGroupRequired:
		return "callers.gids", with(m.list("callers", "gids"), in.Caller.GID)
	case code.HookNotListed:
		name, _ := f.Evidence["hook"].(string)
		for _, h := range in.Hooks {
			// Which names it may touch is for people to say.
			if h.Name == name && h.Pinned == h.SHA256 && h.SHA256 != "" {
				return "hooks.allow", document{name: document{"sha256": h.SHA256, "may_touch": []any{}}}
			}
		}
	case code.EnvNameForbidden:
		if name, ok := f.Evidence["name"].(string); ok {
			return "env.allow", with(m.patterns(), name)
		}
	}
	return "", nil
}

// patterns are the names in env.allow as a site writes them.
func (m *remedier) patterns() []any {
	env, _ := m.now["env"].(document)
	allow, _ := env["allow"].(document)
	out := []any{}
	exact, _ := allow["names"].(document)
	for _, n := range sortedKeys(exact) {
		out = append(out, n)
	}
	for _, p := range anys(allow["prefixes"]) {
		out = append(out, fmt.Sprint(p)+"*")
	}
	return append(out, anys(allow["patterns"])...)
}

// snippet writes a setting of the requested service as it stands in data.yaml.
func (m *remedier) snippet(path string, value any) string {
	section, key, _ := strings.Cut(path, ".")
	note := ""
	if path == "digests.allow" {
		digests, _ := m.now["digests"].(document)
		if listed := listOf(digests["allow"]).size(); listed > 0 {
			note = fmt.Sprintf("  # beside the %d that are listed there", listed)
		}
	}
	return fmt.Sprintf("config:\n  services:\n    %s:\n      %s:\n        %s: %s%s\n", inline(m.in.Request.Service), section, key, inline(value), note)
}

// inline is JSON, which YAML is a superset of.
func inline(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return `""`
	}
	return string(data)
}

// definition gives the lines of a definition that a finding asks for.
func (m *remedier) definition(f admission.Finding) string {
	version := m.in.Request.Version
	switch f.Code {
	case code.VersionNotListed:
		return "version_allow_list: " + inline(append(slices.Clone(m.in.Service.VersionAllowList), version)) + "\n"
	case code.VersionBelowMinimum:
		return "min_version: " + inline(version) + "\n"
	}
	return ""
}

// waiverID gives each of the waivers that may be pasted together another name.
func waiverID(service string, c code.Code, now time.Time) string {
	const longest = 64 // of an id
	date := now.Format("20060102")
	id := "W-" + service + "-" + string(c) + "-" + date
	if len(id) > longest {
		id = "W-" + string(c) + "-" + date
	}
	return id[max(0, len(id)-longest):]
}

func (m *remedier) waiver(f admission.Finding) Remedy {
	now := time.Unix(0, m.in.NowNS).UTC()
	covers := ""
	if m.in.Binary.SHA256 != "" {
		covers = "    sha256: " + inline(m.in.Binary.SHA256) + "\n"
	}
	return Remedy{
		Code: f.Code, Kind: "waiver", File: "data.yaml",
		Change: fmt.Sprintf("Let somebody who may approve it waive %s for %d days.", f.Code, waiverDays),
		Snippet: fmt.Sprintf("waivers:\n  %s:\n    code: %s\n    service: %s\n%s    expires: %s\n    approver: \"\"  # who\n    reason: \"\"    # why\n",
			inline(waiverID(m.in.Request.Service, f.Code, now)), f.Code, inline(m.in.Request.Service), covers,
			now.AddDate(0, 0, waiverDays).Truncate(24*time.Hour).Format(time.RFC3339)),
	}
}
