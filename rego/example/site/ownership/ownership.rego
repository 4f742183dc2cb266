# METADATA
# title: Owners
# description: Every package of a site is called site.<area>. It speaks through the sets deny, warn and grant, and nothing else.
package site.ownership

import rego.v2

# METADATA
# title: A service says which team owns it
# description: A warning is printed and logged; the launch goes on. Make it deny when every definition has the label.
# custom:
#   code: site_team_label_missing
#   severity: low
#   remediation: Add labels.team to the definition.
warn contains finding if {
	not input.service.labels.team
	finding := {
		"code": "site_team_label_missing",
		"message": $"The definition of {input.request.service} has no label team.",
		"evidence": {"labels": input.service.labels},
	}
}
