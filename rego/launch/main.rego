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
# description: >-
#   The one entry point. Undefined is a denial. A finding says what was found: the host puts its findings in order and
#   writes level, severity, remediation and rule beside each, from the one table of codes.
# entrypoint: true
decision := {
	"schema": 1,
	"allow": true,
	"mode": _mode,
	"violations": set(),
	"warnings": set(),
	"waived": [],
	"grants": _grants,
	"obligations": _obligations,
} if {
	_found == set()
	_missing == set()
	_site_warnings == set()
} else := {
	"schema": 1,
	"allow": false,
	"mode": _mode,
	"violations": _found,
	"warnings": _site_warnings,
	"waived": [],
	"grants": _grants,
	"obligations": _obligations,
} if {
	_strict
	_found != set()
} else := {
	"schema": 1,
	"allow": _allow,
	"mode": _mode,
	"violations": _standing,
	"warnings": _warnings,
	"waived": _waived,
	"grants": _grants,
	"obligations": _obligations,
}

# METADATA
# title: Findings of the library
# description: A subject about which nothing is in doubt has none.
_library contains finding if {
	input.doubted.request == true
	some finding in request.deny
}

_library contains finding if {
	input.doubted.definition == true
	some finding in definition.deny
}

_library contains finding if {
	input.doubted.placement == true
	some finding in placement.deny
}

_library contains finding if {
	input.doubted.file == true
	some finding in file.deny
}

_library contains finding if {
	input.doubted.version == true
	some finding in version.deny
}

_library contains finding if {
	input.doubted.digest == true
	some finding in digest.deny
}

_library contains finding if {
	input.doubted.caller == true
	some finding in caller.deny
}

_library contains finding if {
	input.doubted.environment == true
	some finding in environment.deny
}

_library contains finding if {
	input.doubted.hook == true
	some finding in hook.deny
}

_library contains finding if {
	input.doubted.binding == true
	some finding in binding.deny
}

# METADATA
# title: Grants
# description: Those of the library, and those of the site under other names.
_grants := union({placement.grant, file.grant, version.grant, _site_grants})

_site_grants contains grant if {
	some area
	some grant in data.site[area].grant
	not grant in _library_required
}

_library_required := {"ownership", "placement", "version"}

_required := _library_required if {
	data.config.require_grants == []
} else := _library_required | {grant | some grant in data.config.require_grants}

_missing := _required - _grants

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

_found := _library if {
	_ungranted == set()
	_site_denials == set()
} else := union({_library, _ungranted, _site_denials})

_allow if {
	_standing == set()
	_missing == set()
	count(_found) == count(_warned | _excused)
} else := false

# Whoever set no level and waived nothing pays for neither.
_strict if {
	config.effective.enforcement == {}
	data.launch.waivers == {}
}

_standing := (_found - _warned) - _excused

_warned contains finding if {
	some finding in _found
	_entry(finding.code).enforcement == "standard"
	config.effective.enforcement[finding.code] == "warn"
}

_excused contains finding if {
	some finding in _found
	not finding in _warned
	some waiver in _matching(finding.code)
	input.now_ns < waiver.expires_ns
}

_warnings := union({_warned, _site_warnings, _expired})

_waived := [{"code": finding.code, "waiver": waiver.id, "expires": waiver.expires} |
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
# title: Level of a code, and whether it can be waived
# description: A site code that is declared in no annotation has the defaults.
_entry(code) := object.get(data.launch.codes, code, _undeclared)

_undeclared := {"enforcement": "standard", "waivable": true}

_mode := "monitor" if {
	input.launcher.mode == "monitor"
	data.config.mode == "monitor"
} else := "enforce"

_obligations := {
	"binding": config.effective.binding.minimum,
	"confine": config.effective.confine,
	"hooks": [run.name | some run in input.hooks],
}
