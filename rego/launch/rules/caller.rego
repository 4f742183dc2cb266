# METADATA
# title: Caller
# description: Who launches, by the launcher's own effective ids.
package launch.rules.caller

import rego.v2

import data.launch.lib.config

# METADATA
# title: Permitted users
# description: The launching user is one of callers.uids; an empty list permits any.
# custom:
#   code: caller_not_permitted
#   severity: high
#   enforcement: standard
#   waivable: true
#   remediation: Launch as one of callers.uids, or add the user there.
deny contains finding if {
	input.doubts.caller_not_permitted == true
	count(config.effective.callers.uids) > 0
	not input.caller.uid in config.effective.callers.uids
	uid := input.caller.uid
	service := input.request.service
	finding := {
		"code": "caller_not_permitted",
		"message": $"User {uid} is not permitted to launch {service}.",
		"evidence": {"uid": uid, "permitted": config.effective.callers.uids},
	}
}

# METADATA
# title: Required groups
# description: The launching user is a member of one of callers.gids; an empty list asks for none.
# custom:
#   code: caller_group_required
#   severity: high
#   enforcement: standard
#   waivable: true
#   remediation: Launch as a member of one of callers.gids, or add the group there.
deny contains finding if {
	input.doubts.caller_group_required == true
	count(config.effective.callers.gids) > 0
	not _member
	uid := input.caller.uid
	service := input.request.service
	finding := {
		"code": "caller_group_required",
		"message": $"User {uid} is in none of the groups that may launch {service}.",
		"evidence": {
			"uid": uid,
			"gid": input.caller.gid,
			"groups": input.caller.groups,
			"required": config.effective.callers.gids,
		},
	}
}

_member if input.caller.gid in config.effective.callers.gids

_member if {
	some gid in input.caller.groups
	gid in config.effective.callers.gids
}
