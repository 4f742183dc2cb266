# METADATA
# title: Hooks
# description: >-
#   Which environment hooks may run, which names each may touch, and how they ended. Before hooks run (phase admit) the
#   first two rules and what is wrong with the files decide; the last word (phase final) has everything.
package launch.rules.hook

import rego.v2

import data.launch.lib.config
import data.launch.lib.names

# METADATA
# title: Listed hooks
# description: hooks.allow names every hook of the definition. An empty list allows none.
# custom:
#   code: hook_not_listed
#   severity: high
#   enforcement: mandatory
#   waivable: false
#   remediation: Let hooks.allow of the policy's configuration name the hook with its digest, or remove it from the definition.
deny contains finding if {
	input.doubts.hook_not_listed == true
	some run in input.hooks
	not config.effective.hooks.allow[run.name]
	finding := {
		"code": "hook_not_listed",
		"message": $"The hook {run.name} is not one that may run.",
		"evidence": {"hook": run.name, "sha256": run.sha256},
	}
}

# METADATA
# title: Digests of hooks
# description: The file of a hook is the one that the definition pins and that hooks.allow lists.
# custom:
#   code: hook_digest_mismatch
#   severity: critical
#   enforcement: mandatory
#   waivable: false
#   remediation: Find out who changed the hook's file; after a change of your own write the digest that 'hook check FILE' prints into the definition and hooks.allow.
deny contains finding if {
	input.doubts.hook_digest_mismatch == true
	some run in input.hooks
	not run.sha256 in {"", run.pinned}
	finding := {
		"code": "hook_digest_mismatch",
		"message": $"The file of the hook {run.name} is not the one that the definition pins.",
		"evidence": {"hook": run.name, "sha256": run.sha256, "pinned": run.pinned},
	}
}

deny contains finding if {
	input.doubts.hook_digest_mismatch == true
	some run in input.hooks
	listed := config.effective.hooks.allow[run.name].sha256
	not run.pinned == listed
	finding := {
		"code": "hook_digest_mismatch",
		"message": $"The definition pins the hook {run.name} to another file than hooks.allow lists.",
		"evidence": {"hook": run.name, "pinned": run.pinned, "listed": listed},
	}
}

# METADATA
# title: Names that hooks touch
# description: >-
#   A hook sets and unsets only names that its may_touch lists, and none that is forbidden unless env.allow names it
#   exactly.
# custom:
#   code: hook_touched_forbidden_name
#   severity: high
#   enforcement: mandatory
#   waivable: false
#   remediation: Let the hook leave the variable alone, or let may_touch of hooks.allow name it; one that env.deny names must stand in env.allow of the service as well.
deny contains finding if {
	input.doubts.hook_touched_forbidden_name == true
	some run in input.hooks
	some action in ["set", "unset"]
	some name in run[action]
	not _may_touch(run.name, name)
	finding := {
		"code": "hook_touched_forbidden_name",
		"message": $"The hook {run.name} may not {action} the variable {name}.",
		"evidence": {"hook": run.name, "name": name, "action": action},
	}
}

# METADATA
# title: Hooks that decide against the launch
# description: No hook rejects the launch.
# custom:
#   code: hook_rejected
#   severity: high
#   enforcement: mandatory
#   waivable: false
#   remediation: The hook decided against the launch; remove the reason that its message names.
deny contains finding if {
	input.doubts.hook_rejected == true
	some run in input.hooks
	run.error == "hook_rejected"
	finding := {
		"code": "hook_rejected",
		"message": $"The hook {run.name} rejects the launch: {run.detail}.",
		"evidence": {"hook": run.name, "sha256": run.sha256, "reason": run.detail},
	}
}

# METADATA
# title: Hooks that fail
# description: Every hook could be read and is within the limits of hooks; in the final decision every hook has run to a good end.
# custom:
#   code: hook_failed
#   severity: high
#   enforcement: mandatory
#   waivable: false
#   remediation: "Correct the hook: it must end with status 0 in time after writing one reply; 'hook check FILE' and 'hook run FILE' show what is wrong."
deny contains finding if {
	input.doubts.hook_failed == true
	some run in input.hooks
	not run.error in {"", "hook_rejected"}
	finding := {
		"code": "hook_failed",
		"message": $"The hook {run.name} failed: {run.detail}.",
		"evidence": {"hook": run.name, "sha256": run.sha256, "error": run.error},
	}
}

deny contains finding if {
	input.doubts.hook_failed == true
	not input.launcher.phase == "admit"
	some run in input.hooks
	run.error == ""
	not run.ran == true
	not _ended
	finding := {
		"code": "hook_failed",
		"message": $"The hook {run.name} has not run.",
		"evidence": {"hook": run.name, "sha256": run.sha256, "error": ""},
	}
}

# What one hook ended is reported once, not for those that were to follow.
_ended if {
	some run in input.hooks
	run.error != ""
}

_may_touch(hook, name) if {
	names.listed(config.effective.hooks.allow[hook].may_touch, name)
	_free(name)
}

_free(name) if not names.forbidden(name)

_free(name) if names.excused(name)
