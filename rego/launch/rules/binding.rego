# METADATA
# title: Binding
# description: How strongly the measured file and the running process are tied.
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
	not _available
	finding := {
		"code": "binding_too_weak",
		"message": $"The launcher offers no binding as strong as {config.effective.binding.minimum}.",
		"evidence": {"minimum": config.effective.binding.minimum, "available": input.launcher.bindings},
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
