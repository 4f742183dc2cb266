package site.change_test

import rego.v2

import data.launch.fixture
import data.site.change

test_change_ticket_granted if {
	change.grant == {"change_ticket"} with input as _labelled({"ticket": "CHG-4711"})
}

test_change_ticket_not_granted if {
	change.grant == set() with input as _labelled({"ticket": "soon"})
	change.grant == set() with input as _labelled({})
}

_labelled(labels) := json.patch(fixture.launch, [{"op": "replace", "path": "/service/labels", "value": labels}])
