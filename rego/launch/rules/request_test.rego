package launch.rules.request_test

import rego.v2

import data.launch.fixture

test_service_name_invalid_denied if {
	some name in ["Redis", "", "re dis", "redis\n", "rédis", concat("", [c | some _ in numbers.range(1, 65); c := "a"])]
	fixture.denied({
		"request": {"service": name, "instance": concat(":", ["private", name])},
		"service": {"service_name": name},
	}) == {"service_name_invalid"}
}

test_service_name_invalid_denied_each if {
	every name in ["Redis", "", "re dis", "redis\n", "rédis", "../x"] {
		fixture.denied({
			"request": {"service": name, "instance": concat(":", ["private", name])},
			"service": {"service_name": name},
		}) == {"service_name_invalid"}
	}
}

test_service_name_invalid_denied_other_definition if {
	fixture.denied({"service": {"service_name": "valkey"}}) == {"service_name_invalid"}
}

test_service_name_invalid_allowed if {
	every name in ["r", "0-redis-7", concat("", [c | some _ in numbers.range(1, 64); c := "a"])] {
		fixture.denied({
			"request": {"service": name, "instance": concat(":", ["private", name])},
			"service": {"service_name": name},
		}) == set()
	}
}

test_version_invalid_denied if {
	every version in ["", "7", "7.0", "7.0.15.1", "v7.0.15", "07.0.15", "7.0.015", "7.0.15-", "7.0.15-rc..1", "7.0.15-01", "7.0.15+b1", "7.0.15-RC1", "7.0.15\n", " 7.0.15"] {
		fixture.denied({"request": {"version": version}}) == {"version_invalid"}
	}
}

test_version_invalid_allowed if {
	every version in ["0.0.0", "7.0.15", "10.20.30", "7.0.15-rc.1", "7.0.15-0a.0.b", "123456789012345678901.0.0"] {
		fixture.denied({
			"request": {"version": version},
			"service": {"min_version": "", "version_allow_list": [version]},
		}) == set()
	}
}

test_instance_invalid_denied if {
	every change in [
		{"request": {"instance": ""}},
		{"request": {"instance": "shared"}},
		{"request": {"instance": "private:other"}},
		{"service": {"explicit_instance": "x"}},
		{"service": {"isolation": "SHARED_BROKER"}},
		{"service": {"isolation": "SHARED_BROKER", "explicit_instance": "x"}, "request": {"instance": "shared"}},
		{"service": {"isolation": "EXPLICIT_INSTANCE"}, "request": {"instance": "explicit:"}},
		{"service": {"isolation": "EXPLICIT_INSTANCE", "explicit_instance": "a"}, "request": {"instance": "explicit:b"}},
		{"service": {"isolation": "EXPLICIT_INSTANCE", "explicit_instance": "A"}, "request": {"instance": "explicit:A"}},
		{"service": {"isolation": "ANY"}},
	] {
		fixture.denied(change) == {"instance_invalid"}
	}
}

test_instance_invalid_allowed if {
	every change in [
		{"service": {"isolation": "SHARED_BROKER"}, "request": {"instance": "shared"}},
		{"service": {"isolation": "EXPLICIT_INSTANCE", "explicit_instance": "a-1"}, "request": {"instance": "explicit:a-1"}},
	] {
		fixture.denied(change) == set()
	}
}

test_trace_invalid_denied if {
	every trace in [
		{"traceparent": "x"},
		{"traceparent": "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		{"traceparent": "00-00000000000000000000000000000000-b7ad6b7169203331-01"},
		{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"},
		{"traceparent": "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"},
		{"tracestate": "a=\n"},
		{"tracestate": "é"},
		{"tracestate": _long(513)},
		{"request_id": "a\u001bb"},
		{"request_id": "a\u009bb"},
		{"request_id": _long(513)},
	] {
		fixture.denied({"request": {"trace": trace}}) == {"trace_invalid"}
	}
}

test_trace_invalid_allowed if {
	every trace in [
		{"traceparent": "", "tracestate": "", "request_id": ""},
		{"tracestate": _long(512), "request_id": _long(512)},
		{"request_id": "anfrage-é"},
	] {
		fixture.denied({"request": {"trace": trace}}) == set()
	}
}

_long(n) := concat("", ["a" | some _ in numbers.range(1, n)])
