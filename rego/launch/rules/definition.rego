# METADATA
# title: Definition
# description: Where the service definition came from and whose it is.
package launch.rules.definition

import rego.v2

import data.launch.lib.config
import data.launch.lib.trust

# METADATA
# title: Source of the definition
# description: The site permits definitions from this source.
# custom:
#   code: definition_source_not_permitted
#   severity: high
#   enforcement: standard
#   waivable: true
#   remediation: Put the definition into a services directory, or let definitions.sources list where it comes from.
deny contains finding if {
	input.doubts.definition_source_not_permitted == true
	not input.service.source in config.effective.definitions.sources
	source := input.service.source
	finding := {
		"code": "definition_source_not_permitted",
		"message": $"Definitions from the source '{source}' are not permitted.",
		"evidence": {"source": source, "permitted": config.effective.definitions.sources},
	}
}

# METADATA
# title: Owner of the definition
# description: A definition file belongs to a trusted owner.
# custom:
#   code: definition_owner_untrusted
#   severity: high
#   enforcement: standard
#   waivable: true
#   remediation: Let the launching user, root or one of binary.trusted_owners own the definition file.
deny contains finding if {
	input.doubts.definition_owner_untrusted == true
	input.service.source == "file"
	input.service.owner_uid != 0
	not input.service.owner_uid in trust.owners
	path := input.service.path
	owner_uid := input.service.owner_uid
	finding := {
		"code": "definition_owner_untrusted",
		"message": $"The definition {path} belongs to user {owner_uid}, who is no trusted owner.",
		"evidence": {"path": path, "owner_uid": owner_uid},
	}
}
