# METADATA
# title: Versions
# description: Semantic versions on the wire's alphabet, and their order of precedence.
package launch.lib.version

import rego.v2

# METADATA
# title: A version is well formed
# description: MAJOR.MINOR.PATCH with an optional pre-release; no leading zeros, no empty identifier, no build tag.
valid(version) if {
	count(version) <= 64
	_release(version)
} else if {
	count(version) <= 64
	regex.match(_prerelease_form, version)
}

# METADATA
# title: Sorting key of a version
# description: >-
#   Comparing two keys with < compares their versions by precedence. Rego orders a number before a string and a
#   shorter list before its continuation, as pre-release identifiers are ordered; the empty object of a release
#   sorts after the list of a pre-release. Undefined for a version that is not well formed.
key(version) := [to_number(parts[0]), to_number(parts[1]), to_number(parts[2]), {}] if {
	_release(version)
	parts := split(version, ".")
} else := [to_number(parts[0]), to_number(parts[1]), to_number(parts[2]), identifiers] if {
	valid(version)
	core := substring(version, 0, indexof(version, "-"))
	parts := split(core, ".")
	tail := substring(version, count(core) + 1, -1)
	identifiers := [_identifier(part) | some part in split(tail, ".")]
}

# METADATA
# title: A version is a pre-release
prerelease(version) if contains(version, "-")

# METADATA
# title: A version is not below another
at_least(version, floor) if key(version) >= key(floor)

_release(version) if regex.match(`^(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)$`, version)

_prerelease_form := `^(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)-(?:0|[1-9][0-9]*|[0-9]*[a-z][a-z0-9]*)(?:\.(?:0|[1-9][0-9]*|[0-9]*[a-z][a-z0-9]*))*$`

_identifier(part) := to_number(part) if regex.match(`^[0-9]+$`, part)

_identifier(part) := part if not regex.match(`^[0-9]+$`, part)
