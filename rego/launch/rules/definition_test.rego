package launch.rules.definition_test

import rego.v2

import data.launch.fixture

test_definition_source_not_permitted_denied if {
	fixture.denied_with({"service": {"source": "flags"}}, {"definitions": {"sources": ["file"]}}) == {"definition_source_not_permitted"}
	fixture.denied({"service": {"source": "network"}}) == {"definition_source_not_permitted"}
}

test_definition_source_not_permitted_allowed if {
	every source in ["file", "flags", "library"] {
		fixture.denied({"service": {"source": source}}) == set()
	}
}

test_definition_owner_untrusted_denied if {
	fixture.denied({"service": {"owner_uid": 55}}) == {"definition_owner_untrusted"}
}

test_definition_owner_untrusted_allowed if {
	fixture.denied({"service": {"owner_uid": 0}}) == set()
	fixture.denied({"service": {"owner_uid": 1000}}) == set()
	fixture.denied({"service": {"owner_uid": 55, "source": "library"}}) == set()
	fixture.denied_with({"service": {"owner_uid": 55}}, {"binary": {"trusted_owners": [55]}}) == set()
}
