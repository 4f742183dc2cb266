# METADATA
# title: Environment
# description: The names and sizes of the variables that the backend would get.
package launch.rules.environment

import rego.v2

import data.launch.lib.config
import data.launch.lib.names

_max_value_bytes := 32768

_max_bytes := 131072

# METADATA
# title: Forbidden names
# description: >-
#   No variable from outside the baseline, the contract and the hooks has a forbidden name, unless env.allow names it
#   exactly; what passes through from the launcher's own environment is named by env.allow, exactly or by a pattern.
# custom:
#   code: env_name_forbidden
#   severity: high
#   enforcement: standard
#   waivable: true
#   remediation: Remove the variable from the definition, or let env.allow name it for this service.
deny contains finding if {
	input.doubts.env_name_forbidden == true
	some variable in input.env_facts.foreign
	not _name_ok(variable)
	finding := {
		"code": "env_name_forbidden",
		"message": $"The environment variable {variable.name} from {variable.origin} is not permitted.",
		"evidence": {"name": variable.name, "origin": variable.origin},
	}
}

# METADATA
# title: Well-formed variables
# description: Every name is letters, digits and '_', and no value holds a NUL byte.
# custom:
#   code: env_value_invalid
#   severity: high
#   enforcement: mandatory
#   waivable: false
#   remediation: Use names of letters, digits and '_' and values without NUL bytes.
deny contains finding if {
	input.doubts.env_value_invalid == true
	not input.env_facts.invalid == []
	finding := {
		"code": "env_value_invalid",
		"message": $"The environment holds variables with a malformed name or value: {concat(", ", input.env_facts.invalid)}.",
		"evidence": {"names": input.env_facts.invalid},
	}
}

# METADATA
# title: Size of the environment
# description: No value is above 32 KiB and the whole environment is not above 128 KiB.
# custom:
#   code: env_too_large
#   severity: medium
#   enforcement: mandatory
#   waivable: false
#   remediation: "Pass less: a value may have 32 KiB and the whole environment 128 KiB."
deny contains finding if {
	input.doubts.env_too_large == true
	not {
		input.env_facts.largest_value <= _max_value_bytes
		input.env_facts.bytes <= _max_bytes
	}
	bytes := input.env_facts.bytes
	largest_value := input.env_facts.largest_value
	finding := {
		"code": "env_too_large",
		"message": $"The environment has {bytes} bytes (at most {_max_bytes}), its longest value {largest_value} (at most {_max_value_bytes}).",
		"evidence": {"bytes": bytes, "largest_value": largest_value},
	}
}

_name_ok(variable) if names.excused(variable.name)

_name_ok(variable) if {
	not names.forbidden(variable.name)
	variable.origin != "pass_env"
}

_name_ok(variable) if {
	not names.forbidden(variable.name)
	names.listed(config.effective.env.allow, variable.name)
}

# The rules on hooks say more of these.
_name_ok(variable) if startswith(variable.origin, "hook:")
