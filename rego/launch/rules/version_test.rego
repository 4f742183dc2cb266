package launch.rules.version_test

import rego.v2

import data.launch.fixture
import data.launch.lib.version

_requested(wanted, minimum, listed) := {
	"request": {"version": wanted},
	"service": {"min_version": minimum, "version_allow_list": listed},
}

test_version_below_minimum_denied if {
	every pair in [["7.0.14", "7.0.15"], ["6.9.99", "7.0.0"], ["7.9.0", "7.10.0"], ["7.0.0-rc.1", "7.0.0"], ["1.0.0", "not a version"]] {
		fixture.denied(_requested(pair[0], pair[1], [pair[0]])) == {"version_below_minimum"}
	}
}

test_version_below_minimum_allowed if {
	every pair in [["7.0.15", "7.0.15"], ["7.10.0", "7.9.0"], ["7.0.0", "7.0.0-rc.1"], ["0.0.1", ""]] {
		fixture.denied(_requested(pair[0], pair[1], [])) == set()
	}
}

test_version_not_listed_denied if {
	fixture.denied(_requested("7.0.16", "", ["7.0.15", "7.0.1"])) == {"version_not_listed"}
}

test_version_not_listed_allowed if {
	fixture.denied(_requested("7.0.16", "", ["7.0.15", "7.0.16"])) == set()
	fixture.denied(_requested("7.0.16", "", [])) == set()
}

test_version_prerelease_not_allowed_denied if {
	fixture.denied(_requested("7.0.16-rc.1", "", [])) == {"version_prerelease_not_allowed"}
}

test_version_prerelease_not_allowed_allowed if {
	fixture.denied(_requested("7.0.16-rc.1", "", ["7.0.16-rc.1"])) == set()
	fixture.denied_with(_requested("7.0.16-rc.1", "", []), {"versions": {"allow_prerelease": true}}) == set()
}

# The order that Semantic Versioning 2 gives as its example, and more.
test_precedence if {
	ascending := [
		"0.9.9", "1.0.0-0", "1.0.0-9", "1.0.0-10", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2",
		"1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1-a", "1.0.1", "1.2.0", "1.10.0", "2.0.0", "9007199254740992.0.0",
		"9007199254740993.0.0", "1234567890123456789012.0.0", "1234567890123456789013.0.0",
	]
	every i in numbers.range(1, count(ascending) - 1) {
		version.at_least(ascending[i], ascending[i - 1])
		not version.at_least(ascending[i - 1], ascending[i])
	}
}
