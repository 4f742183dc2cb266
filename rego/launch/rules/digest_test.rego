package launch.rules.digest_test

import rego.v2

import data.launch.fixture

_a := "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

_c := "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

test_digest_denied_denied if {
	fixture.denied_with({}, {"digests": {"deny": {_a: {"reason": "stolen key"}}}}) == {"digest_denied"}
	fixture.denied_with({}, {"digests": {"deny": {_a: {}}, "allow": {_a: {}}, "require_listed": true}}) == {"digest_denied"}
}

test_digest_denied_allowed if {
	fixture.denied_with({}, {"digests": {"deny": {_c: {}}}}) == set()
}

test_digest_not_listed_denied if {
	fixture.denied_with({}, {"digests": {"require_listed": true}}) == {"digest_not_listed"}
	fixture.denied_with({}, {"digests": {"require_listed": true, "allow": {_c: {}}}}) == {"digest_not_listed"}
}

test_digest_not_listed_allowed if {
	fixture.denied_with({}, {"digests": {"require_listed": true, "allow": {_a: {}}}}) == set()
	fixture.denied_with({}, {"digests": {"allow": {_c: {}}}}) == set()
}

test_digest_version_mismatch_denied if {
	fixture.denied({"binary": {"sha256": _c}}) == {"digest_version_mismatch"}
	fixture.denied({
		"binary": {"sha256": _c},
		"request": {"service": "valkey", "instance": "private:valkey", "version": "7.0.14"},
		"service": {"service_name": "valkey", "version_allow_list": []},
	}) == {"digest_version_mismatch"}
}

test_digest_version_mismatch_allowed if {
	fixture.denied({
		"binary": {"sha256": _c},
		"request": {"version": "7.0.14"},
		"service": {"version_allow_list": []},
	}) == set()
}

test_interpreter_is_no_release if {
	fixture.denied({"binary": {"sha256": _c}, "script": {"path": "/opt/redis/bin/start"}}) == set()
}
