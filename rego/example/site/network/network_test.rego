package site.network_test

import rego.v2

import data.launch.fixture
import data.launch.main
import data.site.network

test_listens_everywhere_denied if {
	codes := {finding.code | some finding in network.deny} with input as _launch(["--bind", "0.0.0.0"])
	codes == {"site_listens_everywhere"}
}

# The whole decision, with this site's rules, configuration and waivers.
test_listens_everywhere_decides if {
	decision := main.decision with input as _launch(["--bind", "::"])
	decision.allow == false
	[violation.code | some violation in decision.violations] == ["site_listens_everywhere"]
}

test_listens_everywhere_allowed if {
	decision := main.decision with input as _launch(["--port", "0"])
	decision.allow == true
}

_launch(args) := json.patch(fixture.launch, [{"op": "replace", "path": "/request/args", "value": args}])
