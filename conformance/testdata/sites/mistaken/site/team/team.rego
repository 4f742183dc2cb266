# METADATA
# title: A rule with a mistake, an hour as a number where there is none
package site.team

import rego.v2

# METADATA
# title: Services of low priority stay off
# custom:
#   code: site_low_priority
#   severity: low
#   remediation: Raise labels.priority.
deny contains finding if {
	input.request.service == "demo"
	to_number(object.get(input.service.labels, "priority", "high")) < 3
	finding := {
		"code": "site_low_priority",
		"message": $"The service {input.request.service} has a low priority.",
		"evidence": {"labels": input.service.labels},
	}
}
