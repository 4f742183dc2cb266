# METADATA
# title: Trusted owners
# description: Who may own what is launched, and the directories above it.
package launch.lib.trust

import rego.v2

import data.launch.lib.config

# METADATA
# title: User ids whose files are trusted
# description: Root, the launching user, and binary.trusted_owners.
owners := {0, input.caller.uid} if {
	config.effective.binary.trusted_owners == []
} else := {0, input.caller.uid} | {uid | some uid in config.effective.binary.trusted_owners}
