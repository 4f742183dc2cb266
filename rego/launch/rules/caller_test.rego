package launch.rules.caller_test

import rego.v2

import data.launch.fixture

test_caller_not_permitted_denied if {
	fixture.denied_with({}, {"callers": {"uids": [0, 1001]}}) == {"caller_not_permitted"}
}

test_caller_not_permitted_allowed if {
	fixture.denied_with({}, {"callers": {"uids": [1000]}}) == set()
	fixture.denied_with({}, {"callers": {"uids": []}}) == set()
}

test_caller_group_required_denied if {
	fixture.denied_with({}, {"callers": {"gids": [5]}}) == {"caller_group_required"}
	fixture.denied_with({"caller": {"groups": []}}, {"callers": {"gids": [27]}}) == {"caller_group_required"}
}

test_caller_group_required_allowed if {
	fixture.denied_with({}, {"callers": {"gids": [5, 27]}}) == set()
	fixture.denied_with({"caller": {"groups": []}}, {"callers": {"gids": [1000]}}) == set()
}
