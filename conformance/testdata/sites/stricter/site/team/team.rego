# METADATA
# title: What this team asks for beyond the library
package site.team

import rego.v2

# METADATA
# title: No shared brokers here
# custom:
#   code: site_shared_broker
#   severity: medium
#   remediation: Use PRIVATE_BROKER or EXPLICIT_INSTANCE.
deny contains finding if {
	input.service.isolation == "SHARED_BROKER"
	finding := {
		"code": "site_shared_broker",
		"message": $"The service {input.request.service} uses the shared broker.",
		"evidence": {"isolation": input.service.isolation},
	}
}
