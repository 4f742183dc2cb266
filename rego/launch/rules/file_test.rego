package launch.rules.file_test

import rego.v2

import data.launch.fixture

_binary(change) := fixture.denied({"binary": change})

test_binary_not_regular_denied if {
	_binary({"kind": "fifo", "sha256": "", "executable": false, "format": ""}) == {"binary_not_regular"}
	_binary({"kind": "directory", "sha256": "", "format": ""}) == {"binary_not_regular"}
}

test_binary_not_regular_allowed if _binary({"kind": "regular"}) == set()

test_binary_not_executable_denied if _binary({"executable": false}) == {"binary_not_executable"}

test_binary_not_executable_allowed if _binary({"executable": true}) == set()

test_binary_is_script_denied if {
	_binary({"format": "script", "interp": {"path": "/bin/sh", "system_place": false}}) == {"binary_is_script"}
}

test_binary_is_script_allowed if {
	_binary({"format": "elf"}) == set()
	fixture.denied_with(_script, _interpreters) == set()
	fixture.denied_with({"binary": {"path": "/usr/bin/dash"}, "script": _run}, _interpreters) == set()
}

# Listed as written is not listed; an interpreter that could not be measured, or
# is a script itself, is none.
test_only_listed_interpreters if {
	denied := {"binary_is_script"}
	fixture.denied_with(_script, {"binary": {"interpreters": ["/bin/sh"]}}) == denied
	fixture.denied_with(object.union(_script, {"binary": {"interp": {"error": "changed"}}}), _interpreters) == denied
	fixture.denied_with(object.union(_script, {"script": _run}), _interpreters) == denied
}

_interpreters := {"binary": {"interpreters": ["/usr/bin/dash"]}}

_script := {"binary": {
	"format": "script",
	"interp": {"path": "/bin/sh", "canonical": "/usr/bin/dash", "error": "", "system_place": true},
}}

_run := {"path": "/opt/redis/bin/start", "sha256": "aa", "size": 9, "argument": ""}

test_binary_format_unknown_denied if {
	_binary({"format": "unknown", "interp": {"path": ""}}) == {"binary_format_unknown"}
	_binary({"format": "", "interp": {"path": ""}}) == {"binary_format_unknown"}
}

test_binary_format_unknown_allowed if _binary({"format": "elf"}) == set()

test_elf_interpreter_untrusted_denied if {
	every change in [{"system_place": false}, {"uid": 1000}, {"writable_by_others": true}, {"error": "no such file"}] {
		_binary({"interp": change}) == {"elf_interpreter_untrusted"}
	}
}

test_elf_interpreter_untrusted_allowed if {
	_binary({"interp": {"path": "", "system_place": false}}) == set()
}

test_binary_setuid_denied if {
	_binary({"setuid": true}) == {"binary_setuid"}
	_binary({"setgid": true}) == {"binary_setuid"}
}

test_binary_setuid_allowed if {
	fixture.denied_with({"binary": {"setuid": true, "setgid": true}}, {"binary": {"allow_setuid": true}}) == set()
}

test_binary_file_capabilities_denied if _binary({"capabilities": true}) == {"binary_file_capabilities"}

test_binary_file_capabilities_allowed if {
	fixture.denied_with({"binary": {"capabilities": true}}, {"binary": {"allow_setuid": true}}) == set()
}

test_binary_writable_by_others_denied if _binary({"writable_by_others": true}) == {"binary_writable_by_others"}

test_binary_writable_by_others_allowed if _binary({"writable_by_others": false, "mode": 509}) == set()

test_binary_owner_untrusted_denied if _binary({"uid": 55}) == {"binary_owner_untrusted"}

test_binary_owner_untrusted_allowed if {
	_binary({"uid": 0}) == set()
	_binary({"uid": 1000}) == set()
	fixture.denied_with({"binary": {"uid": 55}}, {"binary": {"trusted_owners": [55]}}) == set()
}

test_binary_hard_links_denied if _binary({"links": 2}) == {"binary_hard_links"}

test_binary_hard_links_allowed if _binary({"links": 1}) == set()

test_binary_too_large_denied if {
	_binary({"size": 4294967297, "sha256": ""}) == {"binary_too_large"}
}

test_binary_too_large_allowed if _binary({"size": 4294967296}) == set()

test_binary_mount_untrusted_denied if {
	_binary({"mount": {"local": false}}) == {"binary_mount_untrusted"}
	_binary({"mount": {"noexec": true}}) == {"binary_mount_untrusted"}
}

test_binary_mount_untrusted_allowed if _binary({"mount": {"nosuid": true, "readonly": true}}) == set()

_tmp(change) := [object.union(
	{"path": "/tmp", "uid": 0, "gid": 0, "mode": 1023, "sticky": true, "writable_by_others": true, "child_uid": 1000},
	change,
)]

test_ancestor_writable_by_others_denied if {
	_binary({"ancestors_writable": _tmp({"sticky": false})}) == {"ancestor_writable_by_others"}
	_binary({"ancestors_writable": _tmp({"child_uid": 55})}) == {"ancestor_writable_by_others"}
}

test_ancestor_writable_by_others_allowed if {
	_binary({"ancestors_writable": _tmp({})}) == set()
	_binary({"ancestors_writable": _tmp({"child_uid": 0})}) == set()
	fixture.denied_with({"binary": {"ancestors_writable": _tmp({"child_uid": 55})}}, {"binary": {"trusted_owners": [55]}}) == set()
}

test_ancestor_owner_untrusted_denied if _binary({"ancestor_owners": [0, 55]}) == {"ancestor_owner_untrusted"}

test_ancestor_owner_untrusted_allowed if {
	_binary({"ancestor_owners": [0, 1000]}) == set()
	fixture.denied_with({"binary": {"ancestor_owners": [0, 55]}}, {"binary": {"trusted_owners": [55]}}) == set()
}
