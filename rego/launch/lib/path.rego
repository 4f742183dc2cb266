# METADATA
# title: Paths by component
# description: Paths are compared as lists of components, so that /opt/app-evil is not under /opt/app.
package launch.lib.path

import rego.v2

# METADATA
# title: A path is strictly below a directory
below(segments, directory) if {
	depth := count(directory)
	count(segments) > depth
	array.slice(segments, 0, depth) == directory
}
