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
# title: Facts complete
# description: >-
#   The facts that rules of the library look at are there, each of its type. A rule about a fact that is not there says
#   nothing; without this an incomplete input could be admitted by silence. One expression a type, because this is on
#   the path of every admission.
complete if {
	input.schema == 1
	_flags - {false, true} == set()
	sum(_numbers) >= 0
	concat("", _texts) != ""
	count(_lists) >= 0
	every variable in input.env_facts.foreign {
		is_string(variable.name)
		is_string(variable.origin)
	}
}

_flags := {
	input.binary.capabilities,
	input.binary.executable,
	input.binary.inside_root,
	input.binary.interp.system_place,
	input.binary.interp.writable_by_others,
	input.binary.mount.local,
	input.binary.mount.noexec,
	input.binary.setgid,
	input.binary.setuid,
	input.binary.writable_by_others,
}

_numbers := [
	input.now_ns,
	input.binary.interp.uid,
	input.binary.links,
	input.binary.size,
	input.binary.uid,
	input.caller.uid,
	input.caller.gid,
	input.env_facts.bytes,
	input.env_facts.largest_value,
	input.service.owner_uid,
]

_texts := [
	input.binary.format,
	input.binary.interp.canonical,
	input.binary.interp.error,
	input.binary.interp.path,
	input.binary.kind,
	input.binary.path,
	input.launcher.mode,
	input.launcher.phase,
	input.request.instance,
	input.request.service,
	input.root.broad,
	input.root.path,
	input.script.path,
	input.service.binary_path,
	input.service.explicit_instance,
	input.service.isolation,
	input.service.per_version_binary_dir,
	input.service.service_name,
	input.service.source,
]

_lists := array.flatten([
	array.concat(input.binary.ancestors_writable, input.caller.groups),
	array.concat(input.env_facts.invalid, input.files),
	array.concat(input.hooks, []),
	array.concat(input.launcher.bindings, input.launcher.confinement),
])

# METADATA
# title: The binary is the interpreter of an admitted script, and listed as one
listed_interpreter if {
	input.script.path != ""
	input.binary.path in config.effective.binary.interpreters
}
