# METADATA
# title: Placement
# description: The binary stands under the definition's allow-root, and both could be found.
package launch.rules.placement

import rego.v2

import data.launch.lib.config
import data.launch.lib.facts
import data.launch.lib.path

# METADATA
# title: Binary named
# description: The definition names a binary.
# custom:
#   code: binary_path_empty
#   severity: high
#   enforcement: mandatory
#   waivable: false
#   remediation: Set binary_path in the service definition.
deny contains finding if {
	input.doubts.binary_path_empty == true
	not _binary_named
	root := input.service.per_version_binary_dir
	service := input.request.service
	finding := {
		"code": "binary_path_empty",
		"message": $"The definition of {service} names no binary: binary_path is empty (allow-root '{root}').",
		"evidence": {"binary": "", "root": root},
	}
}

# METADATA
# title: Allow-root named
# description: The definition names an allow-root.
# custom:
#   code: allow_root_empty
#   severity: high
#   enforcement: mandatory
#   waivable: false
#   remediation: Set per_version_binary_dir in the service definition.
deny contains finding if {
	input.doubts.allow_root_empty == true
	not _root_named
	binary := input.service.binary_path
	service := input.request.service
	finding := {
		"code": "allow_root_empty",
		"message": $"The definition of {service} names no allow-root for {binary}: per_version_binary_dir is empty.",
		"evidence": {"binary": binary, "root": ""},
	}
}

# METADATA
# title: Binary found
# description: The binary could be resolved, opened and measured.
# custom:
#   code: binary_unresolvable
#   severity: high
#   enforcement: mandatory
#   waivable: false
#   remediation: Install the binary at binary_path and make it readable for the launching user.
deny contains finding if {
	input.doubts.binary_unresolvable == true
	_binary_named
	not facts.binary
	binary := input.service.binary_path
	detail := input.binary.detail
	finding := {
		"code": "binary_unresolvable",
		"message": $"The binary {binary} could not be resolved: {detail}",
		"evidence": {"binary": binary, "detail": detail},
	}
}

# METADATA
# title: Allow-root found
# description: The allow-root could be resolved and opened.
# custom:
#   code: allow_root_unresolvable
#   severity: high
#   enforcement: mandatory
#   waivable: false
#   remediation: Create the directory that per_version_binary_dir names, or correct the name.
deny contains finding if {
	input.doubts.allow_root_unresolvable == true
	_root_named
	not facts.root
	input.root.error != "allow_root_not_directory"
	root := input.service.per_version_binary_dir
	detail := input.root.detail
	finding := {
		"code": "allow_root_unresolvable",
		"message": $"The allow-root {root} could not be resolved: {detail}",
		"evidence": {"root": root, "detail": detail},
	}
}

# METADATA
# title: Allow-root is a directory
# description: The allow-root is a directory.
# custom:
#   code: allow_root_not_directory
#   severity: high
#   enforcement: mandatory
#   waivable: false
#   remediation: Let per_version_binary_dir name a directory.
deny contains finding if {
	input.doubts.allow_root_not_directory == true
	_root_no_directory
	root := input.service.per_version_binary_dir
	finding := {
		"code": "allow_root_not_directory",
		"message": $"The allow-root {root} is not a directory.",
		"evidence": {"root": root, "kind": input.root.kind},
	}
}

# METADATA
# title: Binary inside its allow-root
# description: The binary's canonical path is below the allow-root's, and the walk to the binary led through that very directory.
# custom:
#   code: binary_outside_allow_root
#   severity: high
#   enforcement: mandatory
#   waivable: false
#   remediation: Move the binary under per_version_binary_dir, or correct the directory; links are resolved on both sides.
deny contains finding if {
	input.doubts.binary_outside_allow_root == true
	facts.binary
	facts.directory
	not _inside
	binary := input.binary.path
	root := input.root.path
	finding := {
		"code": "binary_outside_allow_root",
		"message": $"The binary {binary} is outside the allow-root {root}.",
		"evidence": {"binary": binary, "root": root},
	}
}

# METADATA
# title: Allow-root narrow enough
# description: The allow-root is a directory of the program's own, not one that holds unrelated programs or other people's files.
# custom:
#   code: allow_root_too_broad
#   severity: high
#   enforcement: standard
#   waivable: true
#   remediation: Name a directory of the program's own, or list this one in roots.allow_broad.
deny contains finding if {
	input.doubts.allow_root_too_broad == true
	input.root.broad != ""
	not input.root.path in config.effective.roots.allow_broad
	root := input.root.path
	why := input.root.broad
	finding := {
		"code": "allow_root_too_broad",
		"message": $"The allow-root {root} is too broad: {why}.",
		"evidence": {"root": root, "why": why},
	}
}

# METADATA
# title: Allow-root permitted
# description: The site permits this allow-root, or permits any. A listed interpreter's directory is permitted for it alone.
# custom:
#   code: allow_root_not_permitted
#   severity: high
#   enforcement: standard
#   waivable: true
#   remediation: Use one of roots.allowed, or add this root there.
deny contains finding if {
	input.doubts.allow_root_not_permitted == true
	facts.root
	count(config.effective.roots.allowed) > 0
	not input.root.path in config.effective.roots.allowed
	not facts.listed_interpreter
	root := input.root.path
	finding := {
		"code": "allow_root_not_permitted",
		"message": $"The allow-root {root} is not one of the permitted ones.",
		"evidence": {"root": root, "permitted": config.effective.roots.allowed},
	}
}

# METADATA
# title: Grant for placement
# description: >-
#   Given when every mandatory rule of this file holds, the binary has been hashed, and each of the 47 codes of rules
#   and of their 10 subjects has its doubt: one that is missing would keep its rules silent.
grant contains "placement" if {
	count(input.doubts) == 47
	count(input.doubted) == 10
	input.binary.kind == "regular"
	input.root.kind == "directory"
	count(input.binary.sha256) == 64
	_settled
}

_settled if {
	input.doubts.binary_unresolvable == false
	input.doubts.allow_root_unresolvable == false
	input.doubts.binary_outside_allow_root == false
} else if {
	facts.binary
	facts.root
	_inside
}

_binary_named if {
	input.service.binary_path != ""
	input.binary.error != "binary_path_empty"
}

_root_named if {
	input.service.per_version_binary_dir != ""
	input.root.error != "allow_root_empty"
}

_root_no_directory if input.root.error == "allow_root_not_directory"

_root_no_directory if {
	facts.root
	input.root.kind != "directory"
}

_inside if {
	input.binary.inside_root == true
	path.below(input.binary.segments, input.root.segments)
}
