package site.ownership_test

import rego.v2

import data.launch.fixture
import data.site.ownership

# fixture.launch is a launch that the library allows. A test changes what it is
# about, and asks the rule.
test_team_label_missing if {
	codes := {finding.code | some finding in ownership.warn} with input as _labelled({})
	codes == {"site_team_label_missing"}
}

test_team_label_there if {
	ownership.warn == set() with input as _labelled({"team": "data"})
}

_labelled(labels) := json.patch(fixture.launch, [{"op": "replace", "path": "/service/labels", "value": labels}])
