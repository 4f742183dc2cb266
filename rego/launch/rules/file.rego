# METADATA
# title: File
# description: What the binary is, who owns it and who could change it or a directory above it.
package launch.rules.file

import rego.v2

import data.launch.lib.config
import data.launch.lib.facts
import data.launch.lib.trust

# METADATA
# title: Regular file
# description: The binary is a regular file.
# custom:
#   code: binary_not_regular
#   severity: high
#   enforcement: mandatory
#   waivable: false
#   remediation: Let binary_path lead to a regular file.
deny contains finding if {
	input.doubts.binary_not_regular == true
	facts.binary
	input.binary.kind != "regular"
	binary := input.binary.path
	kind := input.binary.kind
	finding := {
		"code": "binary_not_regular",
		"message": $"{binary} is no regular file but a {kind}.",
		"evidence": {"binary": binary, "kind": kind},
	}
}

# METADATA
# title: Executable
# description: The launching user may execute the binary.
# custom:
#   code: binary_not_executable
#   severity: high
#   enforcement: mandatory
#   waivable: false
#   remediation: Give the file its execute permission for the launching user.
deny contains finding if {
	input.doubts.binary_not_executable == true
	input.binary.kind == "regular"
	input.binary.executable == false
	binary := input.binary.path
	user := input.caller.uid
	finding := {
		"code": "binary_not_executable",
		"message": $"{binary} is not executable for user {user}.",
		"evidence": {"binary": binary, "mode": input.binary.mode, "uid": input.binary.uid},
	}
}

# METADATA
# title: Not a script
# description: >-
#   The binary is a program and not text that some interpreter runs, or binary.interpreters names what its first line
#   asks for. That interpreter is then decided on as a binary of its own.
# custom:
#   code: binary_is_script
#   severity: high
#   enforcement: standard
#   waivable: true
#   remediation: "Name the program itself, or list the script's interpreter in binary.interpreters: it is then measured and decided on as a binary of its own."
deny contains finding if {
	input.doubts.binary_is_script == true
	input.binary.kind == "regular"
	input.binary.format == "script"
	not _interpreter_listed
	binary := input.binary.path
	interpreter := input.binary.interp.path
	finding := {
		"code": "binary_is_script",
		"message": $"{binary} is a script for {interpreter}.",
		"evidence": {"binary": binary, "interpreter": interpreter},
	}
}

# An interpreter that is itself a script has no interpreter that is measured.
_interpreter_listed if {
	input.script.path == ""
	input.binary.interp.error == ""
	input.binary.interp.canonical in config.effective.binary.interpreters
}

# METADATA
# title: Known format
# description: The kernel runs the file itself and hands it to no helper.
# custom:
#   code: binary_format_unknown
#   severity: high
#   enforcement: standard
#   waivable: true
#   remediation: Use an ELF program; other formats are run through helpers that nobody measured.
deny contains finding if {
	input.doubts.binary_format_unknown == true
	input.binary.kind == "regular"
	not input.binary.format in {"elf", "script"}
	binary := input.binary.path
	finding := {
		"code": "binary_format_unknown",
		"message": $"{binary} is neither an ELF program nor a script.",
		"evidence": {"binary": binary, "format": input.binary.format},
	}
}

# METADATA
# title: ELF interpreter
# description: The dynamic loader that the program names is root's own, in a system library directory.
# custom:
#   code: elf_interpreter_untrusted
#   severity: high
#   enforcement: standard
#   waivable: true
#   remediation: Link the program against the system's dynamic loader, owned by root in a system library directory.
deny contains finding if {
	input.doubts.elf_interpreter_untrusted == true
	input.binary.kind == "regular"
	input.binary.interp.path != ""
	input.binary.format != "script"
	interpreter := input.binary.interp
	[interpreter.error, interpreter.system_place, interpreter.uid, interpreter.writable_by_others] != ["", true, 0, false]
	binary := input.binary.path
	loader := input.binary.interp.path
	finding := {
		"code": "elf_interpreter_untrusted",
		"message": $"{binary} is loaded by {loader}, which is not a trusted system loader.",
		"evidence": {"binary": binary, "interpreter": input.binary.interp},
	}
}

# METADATA
# title: Set-id bits
# description: The binary carries no set-user-id or set-group-id bit, or binary.allow_setuid is set.
# custom:
#   code: binary_setuid
#   severity: high
#   enforcement: standard
#   waivable: true
#   remediation: Remove the set-user-id or set-group-id bit, or set binary.allow_setuid.
deny contains finding if {
	input.doubts.binary_setuid == true
	[input.binary.setuid, input.binary.setgid] != [false, false]
	not config.effective.binary.allow_setuid == true
	binary := input.binary.path
	finding := {
		"code": "binary_setuid",
		"message": $"{binary} runs with another user's or group's rights.",
		"evidence": {
			"binary": binary,
			"setuid": input.binary.setuid,
			"setgid": input.binary.setgid,
			"uid": input.binary.uid,
			"gid": input.binary.gid,
		},
	}
}

# METADATA
# title: File capabilities
# description: The binary carries no file capabilities, or binary.allow_setuid is set.
# custom:
#   code: binary_file_capabilities
#   severity: high
#   enforcement: standard
#   waivable: true
#   remediation: Remove the file's capabilities (setcap -r), or set binary.allow_setuid.
deny contains finding if {
	input.doubts.binary_file_capabilities == true
	input.binary.capabilities == true
	not config.effective.binary.allow_setuid == true
	binary := input.binary.path
	finding := {
		"code": "binary_file_capabilities",
		"message": $"{binary} carries file capabilities.",
		"evidence": {"binary": binary},
	}
}

# METADATA
# title: Writable binary
# description: Nobody but its owner and root can write the binary.
# custom:
#   code: binary_writable_by_others
#   severity: high
#   enforcement: standard
#   waivable: true
#   remediation: Remove the write permission of group and others from the binary.
deny contains finding if {
	input.doubts.binary_writable_by_others == true
	input.binary.writable_by_others == true
	binary := input.binary.path
	finding := {
		"code": "binary_writable_by_others",
		"message": $"Users other than its owner can write {binary}.",
		"evidence": {"binary": binary, "mode": input.binary.mode, "gid": input.binary.gid},
	}
}

# METADATA
# title: Owner of the binary
# description: The binary belongs to a trusted owner.
# custom:
#   code: binary_owner_untrusted
#   severity: high
#   enforcement: standard
#   waivable: true
#   remediation: Let the launching user or root own the binary, or list its owner in binary.trusted_owners.
deny contains finding if {
	input.doubts.binary_owner_untrusted == true
	input.binary.kind == "regular"
	input.binary.uid != 0
	not input.binary.uid in trust.owners
	binary := input.binary.path
	uid := input.binary.uid
	finding := {
		"code": "binary_owner_untrusted",
		"message": $"{binary} belongs to user {uid}, who is no trusted owner.",
		"evidence": {"binary": binary, "uid": uid},
	}
}

# METADATA
# title: Hard links
# description: The binary has one name.
# custom:
#   code: binary_hard_links
#   severity: medium
#   enforcement: standard
#   waivable: true
#   remediation: "Install a copy with a single name: another name may stand where others can use it."
deny contains finding if {
	input.doubts.binary_hard_links == true
	input.binary.kind == "regular"
	input.binary.links > 1
	binary := input.binary.path
	links := input.binary.links
	finding := {
		"code": "binary_hard_links",
		"message": $"{binary} has {links} names.",
		"evidence": {"binary": binary, "links": links},
	}
}

# METADATA
# title: Size
# description: The binary is not larger than binary.max_bytes, so that it was hashed.
# custom:
#   code: binary_too_large
#   severity: medium
#   enforcement: mandatory
#   waivable: false
#   remediation: Raise binary.max_bytes, or launch a smaller program.
deny contains finding if {
	input.doubts.binary_too_large == true
	input.binary.size > config.effective.binary.max_bytes
	binary := input.binary.path
	size := input.binary.size
	max_bytes := config.effective.binary.max_bytes
	finding := {
		"code": "binary_too_large",
		"message": $"{binary} has {size} bytes, more than the {max_bytes} that are hashed.",
		"evidence": {
			"binary": binary,
			"size": size,
			"max_bytes": max_bytes,
		},
	}
}

# METADATA
# title: Mount
# description: The binary stands on a local file system that permits execution.
# custom:
#   code: binary_mount_untrusted
#   severity: medium
#   enforcement: standard
#   waivable: true
#   remediation: Install the binary on a local file system that permits execution.
deny contains finding if {
	input.doubts.binary_mount_untrusted == true
	facts.binary
	[input.binary.mount.local, input.binary.mount.noexec] != [true, false]
	binary := input.binary.path
	fs_type := input.binary.mount.fs_type
	finding := {
		"code": "binary_mount_untrusted",
		"message": $"{binary} stands on a {fs_type} file system that is not local or forbids execution.",
		"evidence": {"binary": binary, "mount": input.binary.mount},
	}
}

# METADATA
# title: Writable directory above the binary
# description: >-
#   Nobody but trusted owners can rename what stands in a directory above the binary. A sticky directory is safe for
#   the component below it when a trusted owner has that component.
# custom:
#   code: ancestor_writable_by_others
#   severity: high
#   enforcement: standard
#   waivable: true
#   remediation: Remove the write permission of group and others from the directory that the message names.
deny contains finding if {
	input.doubts.ancestor_writable_by_others == true
	count(input.binary.ancestors_writable) > 0
	some directory in input.binary.ancestors_writable
	not _sticky_safe(directory)
	finding := {
		"code": "ancestor_writable_by_others",
		"message": $"Users other than its owner can write the directory {directory.path} above the binary.",
		"evidence": {"binary": input.binary.path, "directory": directory},
	}
}

# METADATA
# title: Owner of a directory above the binary
# description: Every directory above the binary belongs to a trusted owner.
# custom:
#   code: ancestor_owner_untrusted
#   severity: high
#   enforcement: standard
#   waivable: true
#   remediation: Let the launching user or root own the directory that the message names, or list its owner in binary.trusted_owners.
deny contains finding if {
	input.doubts.ancestor_owner_untrusted == true
	some uid in input.binary.ancestor_owners
	uid != 0
	not uid in trust.owners
	directories := [directory.path | some directory in input.binary.ancestors; directory.uid == uid]
	finding := {
		"code": "ancestor_owner_untrusted",
		"message": $"User {uid}, who is no trusted owner, owns {concat(", ", directories)} above the binary.",
		"evidence": {"binary": input.binary.path, "uid": uid, "directories": directories},
	}
}

# METADATA
# title: Grant for ownership
# description: Given when the owners of the binary and of each directory above it have been judged, with a pass or a finding, on complete facts.
grant contains "ownership" if _settled

_settled if {
	input.doubts.binary_unresolvable == false
	input.doubts.binary_owner_untrusted == false
	input.doubts.ancestor_owner_untrusted == false
} else if {
	facts.binary
	_owner_judged
	_ancestors_judged
}

_sticky_safe(directory) if {
	directory.sticky == true
	directory.child_uid in trust.owners
}

_owner_judged if input.doubts.binary_owner_untrusted == false

_owner_judged if input.binary.uid == 0

_owner_judged if input.binary.uid in trust.owners

_owner_judged if "binary_owner_untrusted" in _found

_ancestors_judged if input.doubts.ancestor_owner_untrusted == false

_ancestors_judged if input.binary.ancestor_owners == [0]

_ancestors_judged if {
	count(input.binary.ancestor_owners) > 0
	every uid in input.binary.ancestor_owners {
		uid in trust.owners
	}
}

_ancestors_judged if "ancestor_owner_untrusted" in _found

_found := {finding.code | some finding in deny}
