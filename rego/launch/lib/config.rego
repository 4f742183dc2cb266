# METADATA
# title: Effective configuration
# description: What the site has set for the requested service. Resolved by the host once a generation; every key is always there.
package launch.lib.config

import rego.v2

# METADATA
# title: Configuration of the requested service
# description: The service's own entry when the site has one, the site's defaults otherwise.
effective := found if {
	found := data.config.services[input.request.service]
} else := data.config.defaults
