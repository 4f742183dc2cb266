# METADATA
# title: Binding and confinement
# description: How strongly the measured file and the running process are tied, and what the process may not do.
package launch.rules.binding

import rego.v2

import data.launch.lib.config

# METADATA
# title: Binding available
# description: The launcher can offer a binding at least as strong as binding.minimum.
# custom:
#   code: binding_too_weak
#   severity: high
#   enforcement: mandatory
#   waivable: false
#   remediation: Launch on a system that offers the binding in binding.minimum, or lower it there.
deny contains finding if {
	input.doubts.binding_too_weak == true
	not _available
	minimum := config.effective.binding.minimum
	finding := {
		"code": "binding_too_weak",
		"message": $"The launcher offers no binding as strong as {minimum}.",
		"evidence": {"minimum": minimum, "available": input.launcher.bindings},
	}
}

# METADATA
# title: Sealed copy of a file that may not run
# description: >-
#   With binding.minimum sealed a copy of the binary runs from memory, which no mount option forbids: the binary's own
#   mount must permit execution.
# custom:
#   code: sealed_source_noexec
#   severity: high
#   enforcement: mandatory
#   waivable: false
#   remediation: "Install the binary on a mount that permits execution: a copy of it must not run where it could not run itself."
deny contains finding if {
	input.doubts.sealed_source_noexec == true
	config.effective.binding.minimum == "sealed"
	input.binary.mount.noexec != false
	binary := input.binary.path
	finding := {
		"code": "sealed_source_noexec",
		"message": $"{binary} stands on a mount that forbids execution and would run as a copy.",
		"evidence": {"binary": binary, "mount": input.binary.mount},
	}
}

_satisfying := {
	"pinned": {"pinned", "leased", "verified", "sealed"},
	"leased": {"leased", "verified", "sealed"},
	"verified": {"verified", "sealed"},
	"sealed": {"sealed"},
}

_available if {
	some binding in input.launcher.bindings
	binding in _satisfying[config.effective.binding.minimum]
}

# METADATA
# title: Confinement available
# description: >-
#   The launcher can apply every kind of confinement that the configuration asks for. Whether a single value can be had
#   (a permission, a control group that exists) is found when it is applied.
# custom:
#   code: confinement_required
#   severity: high
#   enforcement: mandatory
#   waivable: false
#   remediation: Launch on a system that has the confinement which confine asks for, or ask for less there.
deny contains finding if {
	input.doubts.confinement_required == true
	config.effective.confine != _unconfined
	lacking := _asked - {key | some key in input.launcher.confinement}
	count(lacking) > 0
	finding := {
		"code": "confinement_required",
		"message": $"The launcher cannot apply {concat(", ", lacking)}.",
		"evidence": {"lacking": sort(lacking), "available": input.launcher.confinement},
	}
}

# METADATA
# title: Kinds of confinement that are asked for
# description: A key counts unless it has the value that asks for nothing.
_asked contains key if {
	some key, value in config.effective.confine
	not value in _nothing
}

_nothing := [false, "", null, [], {}]

# One comparison for those who ask for nothing.
_unconfined := {
	"no_new_privs": false,
	"umask": "",
	"nice": null,
	"oom_score_adj": null,
	"cgroup": "",
	"drop_caps": [],
	"limits": {},
	"landlock": null,
}
