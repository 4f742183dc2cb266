# METADATA
# title: Changes
# description: A grant is a permission that config.require_grants can demand of every launch.
package site.change

import rego.v2

# METADATA
# title: The launch belongs to a change that somebody approved
grant contains "change_ticket" if regex.match(`^CHG-[0-9]+$`, input.service.labels.ticket)
