# METADATA
# title: Which facts could be had
# description: Rules that judge a file look here first, so that a file nobody could open gives one finding and not ten.
package launch.lib.facts

import rego.v2

import data.launch.lib.config

# METADATA
# title: The binary was opened and measured
binary if {
	input.binary.error == ""
	input.binary.path != ""
}

# METADATA
# title: The binary is a regular file that was opened and measured
regular if {
	binary
	input.binary.kind == "regular"
}

# METADATA
# title: The allow-root was opened
root if {
	input.root.error == ""
	input.root.path != ""
}

# METADATA
# title: The allow-root was opened and is a directory
directory if {
	root
	input.root.kind == "directory"
}

# METADATA
# title: The binary is the interpreter of an admitted script, and listed as one
listed_interpreter if {
	input.script.path != ""
	input.binary.path in config.effective.binary.interpreters
}
