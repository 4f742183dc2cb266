# METADATA
# title: Version
# description: The requested version passes the definition's floor and list.
package launch.rules.version

import rego.v2

import data.launch.lib.config
import data.launch.lib.version

# METADATA
# title: Minimum version
# description: The requested version is not below min_version; an empty min_version is no floor.
# custom:
#   code: version_below_minimum
#   severity: high
#   enforcement: standard
#   waivable: true
#   remediation: Request a version that is not below min_version.
deny contains finding if {
	input.doubts.version_below_minimum == true
	_judged
	not _at_floor
	requested := input.request.version
	minimum := input.service.min_version
	finding := {
		"code": "version_below_minimum",
		"message": $"Version {requested} is below the minimum {minimum}.",
		"evidence": {"version": requested, "minimum": minimum},
	}
}

# METADATA
# title: Listed version
# description: The requested version stands in version_allow_list; an empty list permits any.
# custom:
#   code: version_not_listed
#   severity: high
#   enforcement: standard
#   waivable: true
#   remediation: Request a version of version_allow_list, or add this one to the definition.
deny contains finding if {
	input.doubts.version_not_listed == true
	_judged
	not _unlisted_ok
	not _listed
	requested := input.request.version
	finding := {
		"code": "version_not_listed",
		"message": $"Version {requested} is not one of the listed versions.",
		"evidence": {"version": requested, "listed": input.service.version_allow_list},
	}
}

# METADATA
# title: Pre-release
# description: A pre-release is listed exactly, or versions.allow_prerelease is set.
# custom:
#   code: version_prerelease_not_allowed
#   severity: medium
#   enforcement: standard
#   waivable: true
#   remediation: Request a release, list the pre-release in version_allow_list, or set versions.allow_prerelease.
deny contains finding if {
	input.doubts.version_prerelease_not_allowed == true
	_judged
	not _stage_ok
	requested := input.request.version
	finding := {
		"code": "version_prerelease_not_allowed",
		"message": $"Version {requested} is a pre-release, which is neither listed nor allowed.",
		"evidence": {"version": requested},
	}
}

# METADATA
# title: Grant for the version
# description: Given when each rule of this file has come to a result, a pass or a finding, for a well-formed version.
grant contains "version" if _settled

_settled if {
	input.doubts.version_invalid == false
	input.doubts.version_below_minimum == false
	input.doubts.version_not_listed == false
	input.doubts.version_prerelease_not_allowed == false
} else if {
	_judged
	_floor_judged
	_list_judged
	_stage_judged
}

_judged if {
	input.doubts.version_invalid == false
} else if version.valid(input.request.version)

_at_floor if input.service.min_version == ""

_at_floor if version.at_least(input.request.version, input.service.min_version)

_unlisted_ok if count(input.service.version_allow_list) == 0

_listed if input.request.version in input.service.version_allow_list

_stage_ok if not version.prerelease(input.request.version)

_stage_ok if _listed

_stage_ok if config.effective.versions.allow_prerelease == true

_floor_judged if input.doubts.version_below_minimum == false

_floor_judged if _at_floor

_floor_judged if "version_below_minimum" in _found

_list_judged if input.doubts.version_not_listed == false

_list_judged if _unlisted_ok

_list_judged if _listed

_list_judged if "version_not_listed" in _found

_stage_judged if input.doubts.version_prerelease_not_allowed == false

_stage_judged if _stage_ok

_stage_judged if "version_prerelease_not_allowed" in _found

_found := {finding.code | some finding in deny}
