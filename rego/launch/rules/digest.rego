# METADATA
# title: Digest
# description: What the site knows about the very bytes of the binary.
package launch.rules.digest

import rego.v2

import data.launch.lib.config

# METADATA
# title: Denied digest
# description: The digest stands on no deny-list.
# custom:
#   code: digest_denied
#   severity: critical
#   enforcement: mandatory
#   waivable: false
#   remediation: "Do not run this file: its digest is on the deny-list. Install another build."
deny contains finding if {
	input.doubts.digest_denied == true
	entry := config.effective.digests.deny[input.binary.sha256]
	sha256 := input.binary.sha256
	binary := input.binary.path
	finding := {
		"code": "digest_denied",
		"message": $"The digest {sha256} of {binary} is on the deny-list: {object.get(entry, "reason", "no reason given")}.",
		"evidence": {"binary": binary, "sha256": sha256},
	}
}

# METADATA
# title: Listed digest
# description: Where digests.require_listed is set, the digest stands in digests.allow.
# custom:
#   code: digest_not_listed
#   severity: high
#   enforcement: standard
#   waivable: true
#   remediation: Add the digest to digests.allow after you have checked the file, or install a listed build.
deny contains finding if {
	input.doubts.digest_not_listed == true
	config.effective.digests.require_listed == true
	input.binary.sha256 != ""
	not config.effective.digests.allow[input.binary.sha256]
	sha256 := input.binary.sha256
	binary := input.binary.path
	finding := {
		"code": "digest_not_listed",
		"message": $"The digest {sha256} of {binary} is not on the list of permitted digests.",
		"evidence": {"binary": binary, "sha256": sha256},
	}
}

# METADATA
# title: Digest of the requested release
# description: >-
#   The catalogue does not know the file as another service or another version. An interpreter is no release of the
#   service whose script it runs.
# custom:
#   code: digest_version_mismatch
#   severity: high
#   enforcement: standard
#   waivable: true
#   remediation: "Install the release that was requested: the catalogue knows this file as another one."
deny contains finding if {
	input.doubts.digest_version_mismatch == true
	input.script.path == ""
	known := data.catalog[input.binary.sha256]
	not _same_release(known)
	binary := input.binary.path
	finding := {
		"code": "digest_version_mismatch",
		"message": $"The catalogue knows {binary} as {known.service} {known.version}, not as {input.request.service} {input.request.version}.",
		"evidence": {"binary": binary, "sha256": input.binary.sha256, "catalog": known},
	}
}

_same_release(known) if {
	known.service == input.request.service
	known.version == input.request.version
}
