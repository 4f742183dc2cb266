package launch.rules.hook_test

import rego.v2

import data.launch.fixture

_digest := "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"

_other := "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"

_run := {
	"name": "region",
	"sha256": _digest,
	"pinned": _digest,
	"ran": true,
	"error": "",
	"detail": "",
	"set": ["APP_REGION"],
	"unset": ["TZ"],
}

_touchable := {"names": {"TZ": true}, "prefixes": ["APP_"], "patterns": ["*_URL"]}

_listed := {"hooks": {"allow": {"region": {"sha256": _digest, "may_touch": _touchable}}}}

_denied(changes) := _denied_with(changes, {})

_denied_with(changes, settings) := fixture.denied_with({"hooks": [object.union(_run, changes)]}, object.union(_listed, settings))

_admit := {"launcher": {"phase": "admit"}}

_not_run := {"ran": false, "set": [], "unset": []}

test_hook_allowed if {
	_denied({}) == set()
	fixture.denied({"hooks": []}) == set()
	fixture.denied_with(object.union(_admit, {"hooks": [object.union(_run, _not_run)]}), _listed) == set()
}

test_obligations_name_the_hooks if {
	document := fixture.decide({"hooks": [_run, object.union(_run, {"name": "other"})]}, {})
	document.obligations.hooks == ["region", "other"]
}

test_hook_not_listed_denied if {
	fixture.denied({"hooks": [object.union(_run, {"set": [], "unset": []})]}) == {"hook_not_listed"}
	_denied({"name": "other", "set": [], "unset": []}) == {"hook_not_listed"}
	fixture.denied(object.union(_admit, {"hooks": [object.union(_run, _not_run)]})) == {"hook_not_listed"}
}

test_hook_not_listed_allowed if _denied({}) == set()

test_hook_digest_mismatch_denied if {
	_denied({"sha256": _other}) == {"hook_digest_mismatch"}
	_denied({"sha256": _other, "pinned": _other}) == {"hook_digest_mismatch"}
	_denied({"pinned": _other}) == {"hook_digest_mismatch"}
	changed := object.union(_run, object.union(_not_run, {"sha256": _other}))
	fixture.denied_with(object.union(_admit, {"hooks": [changed]}), _listed) == {"hook_digest_mismatch"}
}

test_hook_digest_mismatch_allowed if {
	_denied({}) == set()
	_denied({"sha256": "", "error": "failed"}) == {"hook_failed"}
}

test_hook_touched_forbidden_name_denied if {
	every action in ["set", "unset"] {
		every name in ["REGION", "LD_PRELOAD", "PATH", "APP", "RUNNING_PROCESS_IS_DAEMON"] {
			_denied({action: [name]}) == {"hook_touched_forbidden_name"}
		}
	}
}

# A list of its own excuses no name that is forbidden for all.
test_hook_touched_forbidden_name_denied_everything if {
	everything := {"hooks": {"allow": {"region": {"may_touch": {"prefixes": [""]}}}}}
	_denied_with({"set": ["LD_PRELOAD"]}, everything) == {"hook_touched_forbidden_name"}
	_denied_with({"unset": ["HOME"]}, everything) == {"hook_touched_forbidden_name"}
	_denied_with({"set": ["GODEBUG"]}, {"env": {"allow": {"names": {"GODEBUG": true}}}}) == {"hook_touched_forbidden_name"}
}

test_hook_touched_forbidden_name_allowed if {
	_denied({"set": ["TZ", "APP_", "APP_X", "DB_URL"], "unset": ["APP_Y"]}) == set()
	both := {"env": {"allow": {"names": {"GODEBUG": true}}}, "hooks": {"allow": {"region": {"may_touch": {"names": {"GODEBUG": true}}}}}}
	_denied_with({"set": ["GODEBUG"]}, both) == set()
}

test_hook_rejected_denied if {
	_denied({"error": "hook_rejected", "detail": `frozen: "no"`, "ran": false}) == {"hook_rejected"}
}

test_hook_rejected_allowed if _denied({"error": ""}) == set()

test_hook_failed_denied if {
	every code in ["hook_failed", "hook_invalid", "directory_unsafe", "anything"] {
		_denied({"error": code, "ran": false}) == {"hook_failed"}
		failed := object.union(_run, object.union(_not_run, {"error": code}))
		fixture.denied_with(object.union(_admit, {"hooks": [failed]}), _listed) == {"hook_failed"}
	}
	_denied({"ran": false}) == {"hook_failed"}
}

test_hook_failed_denied_phase_unknown if {
	fixture.denied_with({"launcher": {"phase": "other"}, "hooks": [object.union(_run, _not_run)]}, _listed) == {"hook_failed"}
}

test_hook_failed_allowed if {
	_denied({"ran": true}) == set()
	fixture.denied_with(object.union(_admit, {"hooks": [object.union(_run, _not_run)]}), _listed) == set()
}

# A level or a waiver of a team's changes nothing.
test_hook_codes_are_mandatory if {
	_denied_with({"error": "hook_failed"}, {"enforcement": {"hook_failed": "warn"}}) == {"hook_failed"}
}
