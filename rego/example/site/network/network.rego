# METADATA
# title: Network
# description: Backends are reached through their socket. A site that serves the network writes its own list here.
package site.network

import rego.v2

# METADATA
# title: No backend listens on every address
# description: >-
#   waivable: false means that no waiver excuses it. The evidence is shown with the denial and logged: put there
#   what somebody needs to mend it, and nothing secret.
# custom:
#   code: site_listens_everywhere
#   severity: high
#   waivable: false
#   remediation: Leave the address out of the arguments; clients use the socket.
deny contains finding if {
	some address in input.request.args
	address in _everywhere
	finding := {
		"code": "site_listens_everywhere",
		"message": $"{input.request.service} must not listen on {address}.",
		"evidence": {"args": input.request.args},
	}
}

# What only this file uses begins with an underscore. A rule that no set reaches
# is an error: it would silently decide nothing.
_everywhere := {"0.0.0.0", "::", "*"}
