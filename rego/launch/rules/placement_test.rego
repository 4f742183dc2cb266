package launch.rules.placement_test

import rego.v2

import data.launch.fixture
import data.launch.rules.placement

# What a launcher reports of a file that it could not open.
_unknown(code) := {
	"path": "", "segments": [], "error": code, "detail": "no such file or directory", "kind": "", "sha256": "", "size": 0,
	"mode": 0, "links": 0, "executable": false, "format": "", "device": 0, "inode": 0, "inside_root": false,
	"interp": {"path": "", "canonical": "", "sha256": "", "system_place": false},
	"mount": {"fs_type": "", "local": false}, "ancestors": [], "ancestor_owners": [],
}

_no_binary := {"service": {"binary_path": ""}, "binary": object.union(_unknown("binary_path_empty"), {"requested": ""})}

_no_root := {
	"service": {"per_version_binary_dir": ""},
	"root": object.union(_unknown("allow_root_empty"), {"requested": ""}),
	"binary": {"inside_root": false},
}

test_binary_path_empty_denied if {
	fixture.denied(_no_binary) == {"binary_path_empty"}
}

test_binary_path_empty_allowed if {
	fixture.denied({"service": {"binary_path": "/opt/redis/bin/redis-server"}}) == set()
}

test_allow_root_empty_denied if {
	fixture.denied(_no_root) == {"allow_root_empty"}
}

test_allow_root_empty_allowed if {
	fixture.denied({"service": {"per_version_binary_dir": "/opt/redis"}}) == set()
}

test_binary_unresolvable_denied if {
	fixture.denied({"binary": _unknown("binary_unresolvable")}) == {"binary_unresolvable"}
	fixture.denied({"binary": _unknown("some_code_to_come")}) == {"binary_unresolvable"}
	fixture.denied({"binary": _unknown("")}) == {"binary_unresolvable"}
}

test_binary_unresolvable_allowed if {
	fixture.denied({"binary": {"detail": "ignored without an error"}}) == set()
}

test_allow_root_unresolvable_denied if {
	root := object.union(_unknown("allow_root_unresolvable"), {})
	fixture.denied({"root": root, "binary": {"inside_root": false}}) == {"allow_root_unresolvable"}
}

test_allow_root_unresolvable_allowed if {
	fixture.denied({"root": {"detail": "ignored without an error"}}) == set()
}

test_allow_root_not_directory_denied if {
	fixture.denied({"root": {"kind": "regular"}, "binary": {"inside_root": false}}) == {"allow_root_not_directory"}
	root := _unknown("allow_root_not_directory")
	fixture.denied({"root": root, "binary": {"inside_root": false}}) == {"allow_root_not_directory"}
}

test_allow_root_not_directory_allowed if {
	fixture.denied({"root": {"kind": "directory"}}) == set()
}

test_binary_outside_allow_root_denied if {
	fixture.denied({"binary": {"inside_root": false}}) == {"binary_outside_allow_root"}
	fixture.denied({"binary": {"segments": ["opt", "redis-evil", "redis-server"]}}) == {"binary_outside_allow_root"}
	fixture.denied({"binary": {"segments": ["opt", "redis"]}}) == {"binary_outside_allow_root"}
	fixture.denied({"binary": {"segments": []}}) == {"binary_outside_allow_root"}
}

test_binary_outside_allow_root_allowed if {
	fixture.denied({"binary": {"segments": ["opt", "redis", "redis-server"]}}) == set()
}

test_allow_root_too_broad_denied if {
	fixture.denied({"root": {"broad": "system directory"}}) == {"allow_root_too_broad"}
	fixture.denied_with({"root": {"broad": "system directory"}}, {"roots": {"allow_broad": ["/opt"]}}) == {"allow_root_too_broad"}
}

test_allow_root_too_broad_allowed if {
	fixture.denied_with({"root": {"broad": "system directory"}}, {"roots": {"allow_broad": ["/opt/redis"]}}) == set()
}

test_allow_root_not_permitted_denied if {
	fixture.denied_with({}, {"roots": {"allowed": ["/srv/redis"]}}) == {"allow_root_not_permitted"}
}

test_allow_root_not_permitted_allowed if {
	fixture.denied_with({}, {"roots": {"allowed": ["/srv/redis", "/opt/redis"]}}) == set()
}

test_listed_interpreter_has_its_place if {
	allowed := {"roots": {"allowed": ["/srv"]}}
	script := {"script": {"path": "/srv/start"}}
	fixture.denied_with(script, allowed) == {"allow_root_not_permitted"}
	listed := {"binary": {"interpreters": ["/opt/redis/bin/redis-server"]}}
	fixture.denied_with(script, object.union(allowed, listed)) == set()
	fixture.denied_with({}, object.union(allowed, listed)) == {"allow_root_not_permitted"}
}

test_no_grant_without_every_doubt if {
	"placement" in placement.grant with input as fixture.launch
	every code, _ in fixture.launch.doubts {
		fewer := object.union(object.remove(fixture.launch, ["doubts"]), {"doubts": object.remove(fixture.launch.doubts, [code])})
		not "placement" in placement.grant with input as fewer
	}
	not "placement" in placement.grant with input as object.remove(fixture.launch, ["doubts"])
	every subject, _ in fixture.launch.doubted {
		fewer := object.union(object.remove(fixture.launch, ["doubted"]), {"doubted": object.remove(fixture.launch.doubted, [subject])})
		not "placement" in placement.grant with input as fewer
	}
	not "placement" in placement.grant with input as object.remove(fixture.launch, ["doubted"])
}
