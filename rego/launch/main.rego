# METADATA
# title: The launch decision
# description: >-
#   Gathers what the library's and the site's rules object to, applies levels and waivers, asks for the required
#   grants and writes the decision document. The host checks the document again and refuses one that contradicts
#   itself.
package launch.main

import rego.v2

import data.launch.lib.config
import data.launch.rules.binding
import data.launch.rules.caller
import data.launch.rules.definition
import data.launch.rules.digest
import data.launch.rules.environment
import data.launch.rules.file
import data.launch.rules.hook
import data.launch.rules.placement
import data.launch.rules.request
import data.launch.rules.version

# METADATA
# title: Decision document
# description: The one entry point. Undefined is a denial.
# entrypoint: true
decision := _document(true, [], [], []) if {
	_nothing_found
	_site_denials == set()
	_site_warnings == set()
	_complete
} else := _document(_allow, _violations, _warnings, _waived)

# Ten comparisons cost a third of the union that the other branch needs.
_nothing_found if {
	request.deny == set()
	definition.deny == set()
	placement.deny == set()
	file.deny == set()
	version.deny == set()
	digest.deny == set()
	caller.deny == set()
	environment.deny == set()
	hook.deny == set()
	binding.deny == set()
}

_complete if _missing == set()

# Most launches are given just these.
_given if {
	data.config.require_grants == []
	placement.grant == {"placement"}
	file.grant == {"ownership"}
	version.grant == {"version"}
}

# METADATA
# title: Findings of the library
_library := union({
	request.deny,
	definition.deny,
	placement.deny,
	file.deny,
	version.deny,
	digest.deny,
	caller.deny,
	environment.deny,
	hook.deny,
	binding.deny,
})

# METADATA
# title: Grants
# description: Those of the library, and those of the site under other names.
_grants := _library_grants | {grant |
	some area
	some grant in data.site[area].grant
	not grant in _library_required
}

_library_grants := (placement.grant | file.grant) | version.grant

_library_required := {"ownership", "placement", "version"}

_missing := set() if {
	_given
} else := (_library_required | {grant | some grant in data.config.require_grants}) - _grants

# METADATA
# title: Required grants
# description: Every grant of the library and of require_grants was given. A missing one that a finding explains is not reported again.
# custom:
#   code: grant_missing
#   severity: high
#   enforcement: mandatory
#   waivable: false
#   remediation: Load the whole library and give every grant that require_grants names.
_ungranted contains finding if {
	some grant in _missing
	not _explained(grant)
	finding := {
		"code": "grant_missing",
		"message": $"No rule gave the required grant '{grant}'.",
		"evidence": {"grant": grant},
	}
}

_explanations := {
	"ownership": {"binary_path_empty", "binary_unresolvable"},
	"placement": {
		"binary_path_empty",
		"allow_root_empty",
		"binary_unresolvable",
		"allow_root_unresolvable",
		"allow_root_not_directory",
		"binary_outside_allow_root",
		"binary_not_regular",
		"binary_too_large",
	},
	"version": {"version_invalid"},
}

_explained(grant) if {
	some finding in _library
	finding.code in _explanations[grant]
}

_site_denials contains _element(area, element) if {
	some area
	some element in data.site[area].deny
}

_site_warnings contains _element(area, element) if {
	some area
	some element in data.site[area].warn
}

# An element that is not of the promised form gets an empty code, which the
# host refuses with the name of the rule.
_element(area, element) := {
	"code": element.code,
	"message": element.message,
	"evidence": evidence,
	"rule": concat(".", ["site", area]),
} if {
	is_object(element)
	is_string(element.code)
	is_string(element.message)
	evidence := object.get(element, "evidence", {})
	is_object(evidence)
} else := {
	"code": "",
	"message": json.marshal(element),
	"evidence": {},
	"rule": concat(".", ["site", area]),
}

_found := union({_library, _ungranted, _site_denials})

_allow if {
	count(_standing) == 0
	count(_missing) == 0
	count(_found) == count(_warned | _excused)
} else := false

# Whoever set no level and waived nothing pays for neither.
_warned := set() if {
	config.effective.enforcement == {}
} else := {finding |
	some finding in _found
	_entry(finding.code).enforcement == "standard"
	config.effective.enforcement[finding.code] == "warn"
}

_excused := set() if {
	data.launch.waivers == {}
} else := {finding |
	some finding in _found
	not finding in _warned
	some waiver in _matching(finding.code)
	input.now_ns < waiver.expires_ns
}

_standing := _found if {
	_warned == set()
	_excused == set()
} else := (_found - _warned) - _excused

_violations := _ordered(_standing)

_warnings := [] if {
	_warned == set()
	_site_warnings == set()
	_expired == set()
} else := array.concat(_ordered(_warned | _site_warnings), _ordered(_expired))

_waived := [] if {
	_excused == set()
} else := [{"code": finding.code, "waiver": waiver.id, "expires": waiver.expires} |
	some finding in _excused
	some waiver in _matching(finding.code)
	input.now_ns < waiver.expires_ns
]

# METADATA
# title: Expired waivers
# description: A waiver that would have excused a finding had it not expired is reported; it has no effect.
# custom:
#   code: waiver_expired
#   severity: low
#   enforcement: standard
#   waivable: false
#   remediation: Renew the waiver after reviewing its reason, or remove the cause and delete it.
_expired contains finding if {
	not data.launch.waivers == {}
	some denied in _standing
	some waiver in _matching(denied.code)
	input.now_ns >= waiver.expires_ns
	finding := {
		"code": "waiver_expired",
		"message": $"Waiver {waiver.id} for {denied.code} expired at {waiver.expires} and has no effect.",
		"evidence": {"waiver": waiver.id, "code": denied.code, "expires": waiver.expires},
	}
}

# METADATA
# title: Waivers for a code that fit this launch
_matching(code) := [waiver |
	_entry(code).enforcement == "standard"
	_entry(code).waivable == true
	some waiver in data.launch.waivers[code]
	waiver.service == input.request.service
	waiver.sha256 in {"", input.binary.sha256}
]

# METADATA
# title: Level, severity, remediation and rank of a code
# description: A site code that is declared in no annotation has the defaults.
_entry(code) := object.get(data.launch.codes, code, _undeclared)

_undeclared := {
	"severity": "medium",
	"enforcement": "standard",
	"waivable": true,
	"remediation": "Ask the security team that owns the rule.",
	"rule": "",
	"order": 1000,
}

_ordered(findings) := [ranked[1] |
	some ranked in {[entry.order, reported] |
		some finding in findings
		entry := object.get(data.launch.codes, finding.code, _undeclared)
		reported := {
			"code": finding.code,
			"severity": entry.severity,
			"enforcement": entry.enforcement,
			"message": finding.message,
			"remediation": entry.remediation,
			"rule": object.get(finding, "rule", entry.rule),
			"evidence": finding.evidence,
		}
	}
]

_mode := "monitor" if {
	input.launcher.mode == "monitor"
	data.config.mode == "monitor"
} else := "enforce"

_document(allow, violations, warnings, waived) := {
	"schema": 1,
	"allow": allow,
	"mode": _mode,
	"violations": violations,
	"warnings": warnings,
	"waived": waived,
	"grants": sort(_grants),
	"obligations": {
		"binding": config.effective.binding.minimum,
		"confine": config.effective.confine,
		"hooks": [run.name | some run in input.hooks],
	},
}
