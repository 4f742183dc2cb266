# METADATA
# title: Names of variables
# description: Lists of names as the host sorts them, by how they are looked up, and what is forbidden by name.
package launch.lib.names

import rego.v2

import data.launch.lib.config

# METADATA
# title: A name is forbidden for everything but the baseline and the contract
forbidden(name) if listed(config.effective.env.deny, name)

# METADATA
# title: A forbidden name is excused, by env.allow and exactly
excused(name) if config.effective.env.allow.names[name] == true

# METADATA
# title: A list of names and patterns has a name
listed(list, name) if list.names[name] == true

listed(list, name) if strings.any_prefix_match(name, list.prefixes)

listed(list, name) if {
	some pattern in list.patterns
	glob.match(pattern, null, name)
}
