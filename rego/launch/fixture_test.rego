# METADATA
# title: Fixture
# description: A launch that the library allows, the configuration without a site, and what the library finds when parts of them change.
package launch.fixture

import rego.v2

import data.launch.main

# METADATA
# title: Codes of the violations of a changed launch
denied(change) := denied_with(change, {})

# METADATA
# title: Codes of the violations of a changed launch under a changed configuration of all services
denied_with(change, settings) := codes if {
	document := decide(change, {"defaults": settings})
	codes := {violation.code | some violation in document.violations}
	_consistent(document, codes)
}

_consistent(document, codes) if {
	document.allow == true
	codes == set()
}

_consistent(document, codes) if {
	document.allow == false
	codes != set()
}

# METADATA
# title: Decision on a changed launch under a changed configuration
decide(change, changed_config) := document if {
	document := main.decision with input as object.union(launch, change)
		with data.config as object.union(config, changed_config)
		with data.catalog as catalog
}

# METADATA
# title: What the site knows of files
catalog := {"cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc": {"service": "redis", "version": "7.0.14"}}

# METADATA
# title: A launch that is allowed
# description: With every doubt, so that each rule is evaluated whatever a test changes.
launch := {
	"schema": 1,
	"now_ns": 1790000000000000000,
	"request": {
		"service": "redis",
		"version": "7.0.15",
		"instance": "private:redis",
		"args": [
			"--port",
			"0",
		],
		"trace": {
			"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
			"tracestate": "a=b",
			"request_id": "r-1",
		},
	},
	"service": {
		"service_name": "redis",
		"binary_path": "/opt/redis/bin/redis-server",
		"per_version_binary_dir": "/opt/redis",
		"isolation": "PRIVATE_BROKER",
		"explicit_instance": "",
		"min_version": "7.0.0",
		"version_allow_list": [
			"7.0.15",
		],
		"labels": {
			"team": "data",
		},
		"launch": {
			"argv0": "/opt/redis/bin/redis-server",
			"dir": "/",
			"pass_env": [],
			"probe": "identity",
			"ready_timeout_ms": 10000,
			"settle_ms": 20,
			"idle_timeout_secs": 30,
			"stderr": "null",
			"comm": "redis-server",
		},
		"source": "file",
		"path": "/etc/spawnward/services/redis.yaml",
		"owner_uid": 0,
		"mode": 420,
		"sha256": "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd",
	},
	"binary": {
		"requested": "/opt/redis/bin/redis-server",
		"path": "/opt/redis/bin/redis-server",
		"segments": [
			"opt",
			"redis",
			"bin",
			"redis-server",
		],
		"error": "",
		"detail": "",
		"kind": "regular",
		"sha256": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"size": 1048576,
		"mode": 493,
		"uid": 0,
		"gid": 0,
		"links": 1,
		"executable": true,
		"writable_by_others": false,
		"setuid": false,
		"setgid": false,
		"capabilities": false,
		"format": "elf",
		"interp": {
			"path": "/lib64/ld-linux-x86-64.so.2",
			"canonical": "/usr/lib/ld.so",
			"sha256": "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
			"uid": 0,
			"mode": 493,
			"error": "",
			"writable_by_others": false,
			"system_place": true,
		},
		"device": 1,
		"inode": 77,
		"mtime_ns": 1780000000000000000,
		"ctime_ns": 1780000000000000000,
		"mount": {
			"fs_type": "ext4",
			"fs_magic": 61267,
			"id": 30,
			"noexec": false,
			"nosuid": false,
			"readonly": false,
			"local": true,
		},
		"ancestors": [
			{
				"path": "/",
				"uid": 0,
				"gid": 0,
				"mode": 493,
				"sticky": false,
				"writable_by_others": false,
				"child_uid": 0,
			},
			{
				"path": "/opt",
				"uid": 0,
				"gid": 0,
				"mode": 493,
				"sticky": false,
				"writable_by_others": false,
				"child_uid": 0,
			},
			{
				"path": "/opt/redis",
				"uid": 0,
				"gid": 0,
				"mode": 493,
				"sticky": false,
				"writable_by_others": false,
				"child_uid": 0,
			},
			{
				"path": "/opt/redis/bin",
				"uid": 0,
				"gid": 0,
				"mode": 493,
				"sticky": false,
				"writable_by_others": false,
				"child_uid": 0,
			},
		],
		"ancestors_writable": [],
		"ancestor_owners": [
			0,
		],
		"inside_root": true,
		"broad": "",
	},
	"root": {
		"requested": "/opt/redis",
		"path": "/opt/redis",
		"segments": [
			"opt",
			"redis",
		],
		"error": "",
		"detail": "",
		"kind": "directory",
		"sha256": "",
		"size": 0,
		"mode": 493,
		"uid": 0,
		"gid": 0,
		"links": 3,
		"executable": true,
		"writable_by_others": false,
		"setuid": false,
		"setgid": false,
		"capabilities": false,
		"format": "",
		"interp": {
			"path": "",
			"canonical": "",
			"sha256": "",
			"uid": 0,
			"mode": 0,
			"error": "",
			"writable_by_others": false,
			"system_place": false,
		},
		"device": 1,
		"inode": 70,
		"mtime_ns": 0,
		"ctime_ns": 0,
		"mount": {
			"fs_type": "ext4",
			"fs_magic": 61267,
			"id": 30,
			"noexec": false,
			"nosuid": false,
			"readonly": false,
			"local": true,
		},
		"ancestors": [
			{
				"path": "/",
				"uid": 0,
				"gid": 0,
				"mode": 493,
				"sticky": false,
				"writable_by_others": false,
				"child_uid": 0,
			},
			{
				"path": "/opt",
				"uid": 0,
				"gid": 0,
				"mode": 493,
				"sticky": false,
				"writable_by_others": false,
				"child_uid": 0,
			},
		],
		"ancestors_writable": [],
		"ancestor_owners": [
			0,
		],
		"inside_root": false,
		"broad": "",
	},
	"script": {
		"path": "",
		"sha256": "",
		"size": 0,
		"argument": "",
	},
	"caller": {
		"uid": 1000,
		"gid": 1000,
		"groups": [
			1000,
			27,
		],
		"user": "app",
		"parent": {
			"pid": 0,
			"exe": "",
			"sha256": "",
		},
	},
	"env": [
		{
			"name": "HOME",
			"value": "/home/app",
			"origin": "baseline",
		},
		{
			"name": "TZ",
			"value": "UTC",
			"origin": "definition",
		},
	],
	"env_facts": {
		"bytes": 400,
		"largest_value": 40,
		"invalid": [],
		"foreign": [
			{
				"name": "TZ",
				"value": "UTC",
				"origin": "definition",
			},
		],
	},
	"files": [],
	"hooks": [],
	"host": {
		"os": "linux",
		"arch": "amd64",
		"hostname": "host",
		"machine_id": "11111111111111111111111111111111",
		"boot_id": "b",
		"kernel": "6.1.0",
	},
	"launcher": {
		"version": "0.1.0",
		"mode": "enforce",
		"bindings": [
			"pinned",
			"verified",
		],
		"confinement": [
			"no_new_privs",
			"umask",
			"nice",
			"oom_score_adj",
			"cgroup",
			"drop_caps",
			"limits",
			"landlock",
		],
		"phase": "final",
	},
	"doubted": {
		"request": true,
		"definition": true,
		"placement": true,
		"file": true,
		"version": true,
		"digest": true,
		"caller": true,
		"environment": true,
		"hook": true,
		"binding": true,
	},
	"doubts": {
		"allow_root_empty": true,
		"allow_root_not_directory": true,
		"allow_root_not_permitted": true,
		"allow_root_too_broad": true,
		"allow_root_unresolvable": true,
		"ancestor_owner_untrusted": true,
		"ancestor_writable_by_others": true,
		"binary_file_capabilities": true,
		"binary_format_unknown": true,
		"binary_hard_links": true,
		"binary_is_script": true,
		"binary_mount_untrusted": true,
		"binary_not_executable": true,
		"binary_not_regular": true,
		"binary_outside_allow_root": true,
		"binary_owner_untrusted": true,
		"binary_path_empty": true,
		"binary_setuid": true,
		"binary_too_large": true,
		"binary_unresolvable": true,
		"binary_writable_by_others": true,
		"binding_too_weak": true,
		"caller_group_required": true,
		"caller_not_permitted": true,
		"confinement_required": true,
		"definition_owner_untrusted": true,
		"definition_source_not_permitted": true,
		"digest_denied": true,
		"digest_not_listed": true,
		"digest_version_mismatch": true,
		"elf_interpreter_untrusted": true,
		"env_name_forbidden": true,
		"env_too_large": true,
		"env_value_invalid": true,
		"hook_digest_mismatch": true,
		"hook_failed": true,
		"hook_not_listed": true,
		"hook_rejected": true,
		"hook_touched_forbidden_name": true,
		"instance_invalid": true,
		"sealed_source_noexec": true,
		"service_name_invalid": true,
		"trace_invalid": true,
		"version_below_minimum": true,
		"version_invalid": true,
		"version_not_listed": true,
		"version_prerelease_not_allowed": true,
	},
}

# METADATA
# title: The configuration without a site
config := {
	"defaults": {
		"binary": {
			"allow_setuid": false,
			"max_bytes": 4294967296,
			"max_sealed_bytes": 268435456,
			"trusted_owners": [],
			"interpreters": [],
		},
		"binding": {
			"minimum": "verified",
		},
		"callers": {
			"gids": [],
			"uids": [],
		},
		"confine": {
			"no_new_privs": false,
			"umask": "",
			"nice": null,
			"oom_score_adj": null,
			"cgroup": "",
			"drop_caps": [],
			"limits": {},
			"landlock": null,
		},
		"definitions": {
			"sources": [
				"file",
				"flags",
				"library",
			],
		},
		"digests": {
			"allow": {},
			"deny": {},
			"require_listed": false,
		},
		"enforcement": {},
		"env": {
			"allow": {
				"names": {},
				"patterns": [],
				"prefixes": [],
			},
			"deny": {
				"names": {
					"BASH_ENV": true,
					"CLASSPATH": true,
					"DOTNET_STARTUP_HOOKS": true,
					"ENV": true,
					"GCONV_PATH": true,
					"GLIBC_TUNABLES": true,
					"GODEBUG": true,
					"GTK_MODULES": true,
					"HOME": true,
					"HOSTALIASES": true,
					"IFS": true,
					"JAVA_TOOL_OPTIONS": true,
					"JDK_JAVA_OPTIONS": true,
					"LOCPATH": true,
					"LOGNAME": true,
					"NLSPATH": true,
					"NODE_OPTIONS": true,
					"NODE_PATH": true,
					"NOTIFY_SOCKET": true,
					"OPENSSL_CONF": true,
					"OPENSSL_MODULES": true,
					"PATH": true,
					"PERL5DB": true,
					"PERL5LIB": true,
					"PERL5OPT": true,
					"PS4": true,
					"PYTHONBREAKPOINT": true,
					"PYTHONEXECUTABLE": true,
					"PYTHONHOME": true,
					"PYTHONINSPECT": true,
					"PYTHONPATH": true,
					"PYTHONSTARTUP": true,
					"PYTHONUSERBASE": true,
					"RES_OPTIONS": true,
					"RUBYLIB": true,
					"RUBYOPT": true,
					"RUNNING_PROCESS_IS_DAEMON": true,
					"SHELL": true,
					"SHELLOPTS": true,
					"SSLKEYLOGFILE": true,
					"USER": true,
					"_JAVA_OPTIONS": true,
				},
				"patterns": [],
				"prefixes": [
					"LD_",
					"DYLD_",
					"MALLOC_",
					"BASH_FUNC_",
					"LISTEN_",
					"RUNNING_PROCESS_BROKER_V1_",
				],
			},
			"set": {},
		},
		"hooks": {
			"allow": {},
		},
		"roots": {
			"allow_broad": [],
			"allowed": [],
		},
		"versions": {
			"allow_prerelease": false,
		},
	},
	"log": {
		"max_bytes": 67108864,
		"on_failure": "deny",
	},
	"mode": "enforce",
	"require_grants": [],
	"services": {},
}
