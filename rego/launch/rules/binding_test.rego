package launch.rules.binding_test

import rego.v2

import data.launch.fixture

test_binding_too_weak_denied if {
	fixture.denied({"launcher": {"bindings": []}}) == {"binding_too_weak"}
	fixture.denied({"launcher": {"bindings": ["strong"]}}) == {"binding_too_weak"}
	fixture.denied_with({"launcher": {"bindings": ["pinned", "leased"]}}, {"binding": {"minimum": "verified"}}) == {"binding_too_weak"}
	fixture.denied_with({"launcher": {"bindings": ["pinned", "leased", "verified"]}}, {"binding": {"minimum": "sealed"}}) == {"binding_too_weak"}
	fixture.denied_with({}, {"binding": {"minimum": "unheard of"}}) == {"binding_too_weak"}
}

test_binding_too_weak_allowed if {
	fixture.denied_with({"launcher": {"bindings": ["sealed"]}}, {"binding": {"minimum": "verified"}}) == set()
	fixture.denied({"launcher": {"bindings": ["pinned"]}}) == set()
}
