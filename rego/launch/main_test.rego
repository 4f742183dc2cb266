package launch.main_test

import rego.v2

import data.launch.fixture
import data.launch.main

_codes(findings) := {finding.code | some finding in findings}

_table := {
	"binary_hard_links": {
		"enforcement": "standard", "waivable": true,
	},
	"digest_denied": {
		"enforcement": "mandatory", "waivable": false,
	},
	"waiver_expired": {
		"enforcement": "standard", "waivable": false,
	},
}

_waiver(change) := object.union(
	{
		"id": "W-1", "service": "redis", "sha256": "", "expires": "2027-01-01T00:00:00Z",
		"expires_ns": fixture.launch.now_ns + 1,
	},
	change,
)

_with_waiver(code, change, waiver) := document if {
	document := fixture.decide(change, {}) with data.launch.codes as _table
		with data.launch.waivers as {code: [waiver]}
}

test_clean if {
	document := fixture.decide({}, {})
	document.allow == true
	document.mode == "enforce"
	document.violations == set()
	document.warnings == set()
	document.grants == {"ownership", "placement", "version"}
	document.obligations == {"binding": "verified", "confine": fixture.config.defaults.confine, "hooks": []}
}

test_grant_missing_denied if {
	document := fixture.decide({}, {"require_grants": ["change_ticket"]})
	document.allow == false
	_codes(document.violations) == {"grant_missing"}
}

test_grant_missing_denied_library if {
	fixture.denied({"binary": {"sha256": ""}}) == {"grant_missing"}
	fixture.denied({"binary": {"ancestor_owners": []}}) == {"grant_missing"}
}

test_grant_missing_allowed if {
	document := fixture.decide({}, {"require_grants": ["change_ticket", "placement"]}) with data.site as {"ops": {"grant": ["change_ticket"]}}
	document.allow == true
	document.grants == {"change_ticket", "ownership", "placement", "version"}
}

# A site cannot give what only the library may.
test_library_grant_from_site if {
	document := fixture.decide({"binary": {"sha256": ""}}, {}) with data.site as {"ops": {"grant": ["placement"]}}
	_codes(document.violations) == {"grant_missing"}
}

test_warn_level if {
	document := fixture.decide({"binary": {"links": 2}}, {"defaults": {"enforcement": {"binary_hard_links": "warn"}}}) with data.launch.codes as _table
	document.allow == true
	_codes(document.warnings) == {"binary_hard_links"}
}

test_mandatory_ignores_level if {
	document := fixture.decide(
		{},
		{"defaults": {"enforcement": {"digest_denied": "warn"}, "digests": {"deny": {fixture.launch.binary.sha256: {}}}}},
	) with data.launch.codes as _table
	_codes(document.violations) == {"digest_denied"}
}

test_waiver if {
	document := _with_waiver("binary_hard_links", {"binary": {"links": 2}}, _waiver({}))
	document.allow == true
	document.waived == [{"code": "binary_hard_links", "waiver": "W-1", "expires": "2027-01-01T00:00:00Z"}]
}

test_waiver_for_other if {
	every change in [{"service": "valkey"}, {"sha256": "00"}] {
		document := _with_waiver("binary_hard_links", {"binary": {"links": 2}}, _waiver(change))
		_codes(document.violations) == {"binary_hard_links"}
		document.warnings == set()
	}
}

test_waiver_mandatory_has_no_effect if {
	waiver := _waiver({})
	document := fixture.decide({}, {"defaults": {"digests": {"deny": {fixture.launch.binary.sha256: {}}}}}) with data.launch.codes as _table
		with data.launch.waivers as {"digest_denied": [waiver]}
	_codes(document.violations) == {"digest_denied"}
}

test_waiver_expired_denied if {
	document := _with_waiver("binary_hard_links", {"binary": {"links": 2}}, _waiver({"expires_ns": fixture.launch.now_ns}))
	document.allow == false
	_codes(document.violations) == {"binary_hard_links"}
	_codes(document.warnings) == {"waiver_expired"}
	document.waived == []
}

test_waiver_expired_allowed if {
	document := _with_waiver("binary_hard_links", {}, _waiver({"expires_ns": 0}))
	document.allow == true
	document.warnings == set()
}

test_monitor_needs_both if {
	fixture.decide({"launcher": {"mode": "monitor"}}, {"mode": "monitor"}).mode == "monitor"
	fixture.decide({"launcher": {"mode": "monitor"}}, {}).mode == "enforce"
	fixture.decide({}, {"mode": "monitor"}).mode == "enforce"
	document := fixture.decide({"launcher": {"mode": "monitor"}, "binary": {"links": 2}}, {"mode": "monitor"})
	document.mode == "monitor"
	document.allow == false
}

test_site if {
	rules := {"net": {"deny": [{"code": "site_z", "message": "no", "evidence": {"a": 1}}], "warn": [{"code": "site_w", "message": "hm"}]}}
	document := fixture.decide({"binary": {"links": 2}}, {}) with data.site as rules with data.launch.codes as _table
	_codes(document.violations) == {"binary_hard_links", "site_z"}
	{"code": "site_z", "message": "no", "evidence": {"a": 1}, "rule": "site.net"} in document.violations
	_codes(document.warnings) == {"site_w"}
}

test_site_malformed if {
	every element in ["text", {"code": 1}, {"code": "site_x"}, {"code": "site_x", "message": "m", "evidence": 1}] {
		document := fixture.decide({}, {}) with data.site as {"net": {"deny": [element]}}
		document.allow == false
		_codes(document.violations) == {""}
	}
}

# Nothing is known: nothing is allowed.
test_empty_input if {
	document := main.decision with input as {} with data.config as fixture.config
	not document.allow == true
}
