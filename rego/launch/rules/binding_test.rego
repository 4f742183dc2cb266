package launch.rules.binding_test

import rego.v2

import data.launch.fixture

test_binding_too_weak_denied if {
	fixture.denied({"launcher": {"bindings": []}}) == {"binding_too_weak"}
	fixture.denied({"launcher": {"bindings": ["pinned", "leased"]}}) == {"binding_too_weak"}
	fixture.denied({"launcher": {"bindings": ["strong"]}}) == {"binding_too_weak"}
	fixture.denied_with({"launcher": {"bindings": ["pinned", "leased"]}}, {"binding": {"minimum": "verified"}}) == {"binding_too_weak"}
	fixture.denied_with({"launcher": {"bindings": ["pinned", "leased", "verified"]}}, {"binding": {"minimum": "sealed"}}) == {"binding_too_weak"}
	fixture.denied_with({}, {"binding": {"minimum": "unheard of"}}) == {"binding_too_weak"}
}

test_binding_too_weak_allowed if {
	fixture.denied_with({"launcher": {"bindings": ["sealed"]}}, {"binding": {"minimum": "verified"}}) == set()
	fixture.denied({"launcher": {"bindings": ["pinned", "leased", "verified"]}}) == set()
	fixture.denied_with({"launcher": {"bindings": ["pinned"]}}, {"binding": {"minimum": "pinned"}}) == set()
}

_sealed := {"binding": {"minimum": "sealed"}}

_offered := {"bindings": ["sealed"]}

test_sealed_source_noexec_denied if {
	fixture.denied_with({"launcher": _offered, "binary": {"mount": {"noexec": true}}}, _sealed) == {"binary_mount_untrusted", "sealed_source_noexec"}
}

test_sealed_source_noexec_allowed if {
	fixture.denied_with({"launcher": _offered}, _sealed) == set()
	fixture.denied({"binary": {"mount": {"noexec": true}}}) == {"binary_mount_untrusted"}
}

test_confinement_required_denied if {
	none := {"launcher": {"confinement": []}}
	every key, value in _asks {
		fixture.denied_with(none, {"confine": {key: value}}) == {"confinement_required"}
		fixture.denied_with(_without(key), {"confine": {key: value}}) == {"confinement_required"}
	}
	fixture.denied_with(none, {"confine": {"unheard of": true}}) == {"confinement_required"}
}

test_confinement_required_allowed if {
	fixture.denied({"launcher": {"confinement": []}}) == set()
	every key, value in _asks {
		fixture.denied_with({}, {"confine": {key: value}}) == set()
		fixture.denied_with({"launcher": {"confinement": [key]}}, {"confine": {key: value}}) == set()
	}
}

test_confinement_is_an_obligation if {
	every key, value in _asks {
		document := fixture.decide({}, {"defaults": {"confine": {key: value}}})
		document.obligations.confine[key] == value
	}
}

_asks := {
	"no_new_privs": true,
	"umask": "0077",
	"nice": 0,
	"oom_score_adj": 0,
	"cgroup": "apps",
	"drop_caps": "all",
	"limits": {"nofile": {"soft": 1, "hard": 1}},
	"landlock": {"read": [], "write": [], "exec": []},
}

_without(missing) := {"launcher": {"confinement": [key | some key in object.keys(_asks); key != missing]}}
