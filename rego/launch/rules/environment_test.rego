package launch.rules.environment_test

import rego.v2

import data.launch.fixture

_foreign(name, origin) := {"env_facts": {"foreign": [{"name": name, "value": "v", "origin": origin}]}}

_allow(patterns) := {"env": {"allow": patterns}}

test_env_name_forbidden_denied if {
	every name in ["LD_PRELOAD", "LD_", "PATH", "BASH_FUNC_x", "RUNNING_PROCESS_BROKER_V1_INSTANCE", "RUNNING_PROCESS_IS_DAEMON", "GODEBUG"] {
		every origin in ["pass_env", "definition", "configuration", "hook"] {
			fixture.denied(_foreign(name, origin)) == {"env_name_forbidden"}
		}
	}
}

test_env_name_forbidden_denied_pass_env if {
	fixture.denied(_foreign("LANG", "pass_env")) == {"env_name_forbidden"}
	allow := {"names": {}, "prefixes": ["L"], "patterns": []}
	fixture.denied_with(_foreign("XLANG", "pass_env"), _allow(allow)) == {"env_name_forbidden"}
}

# A pattern lets ordinary names pass; it excuses no forbidden one.
test_env_name_forbidden_denied_pattern if {
	allow := {"names": {}, "prefixes": [""], "patterns": ["*D*"]}
	fixture.denied_with(_foreign("LD_PRELOAD", "pass_env"), _allow(allow)) == {"env_name_forbidden"}
	fixture.denied_with(_foreign("LD_PRELOAD", "definition"), _allow(allow)) == {"env_name_forbidden"}
}

test_env_name_forbidden_denied_site_pattern if {
	settings := {"env": {"deny": {"names": {}, "prefixes": [], "patterns": ["*_TOKEN", "A*Z"]}}}
	fixture.denied_with(_foreign("MY_TOKEN", "definition"), settings) == {"env_name_forbidden"}
	fixture.denied_with(_foreign("ABCZ", "definition"), settings) == {"env_name_forbidden"}
	fixture.denied_with(_foreign("ABC", "definition"), settings) == set()
}

test_env_name_forbidden_allowed if {
	fixture.denied(_foreign("TZ", "definition")) == set()
	fixture.denied(_foreign("REGION", "hook:region")) == set()
	allow := {"names": {"LANG": true, "GODEBUG": true}, "prefixes": ["LC_"], "patterns": ["*_ZONE"]}
	every name in ["LANG", "GODEBUG", "LC_ALL", "MY_ZONE"] {
		fixture.denied_with(_foreign(name, "pass_env"), _allow(allow)) == set()
	}
}

test_env_value_invalid_denied if {
	fixture.denied({"env_facts": {"invalid": ["A=B"]}}) == {"env_value_invalid"}
}

test_env_value_invalid_allowed if {
	fixture.denied({"env_facts": {"invalid": []}}) == set()
}

test_env_too_large_denied if {
	fixture.denied({"env_facts": {"largest_value": 32769}}) == {"env_too_large"}
	fixture.denied({"env_facts": {"bytes": 131073}}) == {"env_too_large"}
}

test_env_too_large_allowed if {
	fixture.denied({"env_facts": {"largest_value": 32768, "bytes": 131072}}) == set()
}
