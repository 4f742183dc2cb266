# METADATA
# title: Request
# description: The names, the version and the trace context that a request carries.
package launch.rules.request

import rego.v2

import data.launch.lib.version

# METADATA
# title: Service name
# description: The requested name is well formed and is the name that the definition was written for.
# custom:
#   code: service_name_invalid
#   severity: high
#   enforcement: mandatory
#   waivable: false
#   remediation: Use 1 to 64 characters of a-z, 0-9 and '-'; upper case is refused because it would collide on case-insensitive systems.
deny contains finding if {
	input.doubts.service_name_invalid == true
	not _service_name_ok
	service := input.request.service
	definition := input.service.service_name
	finding := {
		"code": "service_name_invalid",
		"message": $"The service name '{service}' is not 1 to 64 characters of a-z, 0-9 and '-', or is not the definition's '{definition}'.",
		"evidence": {"service": service, "definition": definition},
	}
}

# METADATA
# title: Service version
# description: The requested version is a semantic version on the wire's alphabet.
# custom:
#   code: version_invalid
#   severity: high
#   enforcement: mandatory
#   waivable: false
#   remediation: Write the version as MAJOR.MINOR.PATCH with an optional '-' tail of a-z, 0-9 and '.'; no leading zeros, no build tag.
deny contains finding if {
	input.doubts.version_invalid == true
	not version.valid(input.request.version)
	requested := input.request.version
	finding := {
		"code": "version_invalid",
		"message": $"The version '{requested}' is not MAJOR.MINOR.PATCH with an optional pre-release.",
		"evidence": {"version": requested},
	}
}

# METADATA
# title: Instance
# description: The broker instance follows from the definition's isolation.
# custom:
#   code: instance_invalid
#   severity: high
#   enforcement: mandatory
#   waivable: false
#   remediation: "Make isolation and explicit_instance agree: a name for EXPLICIT_INSTANCE, none for the others."
deny contains finding if {
	input.doubts.instance_invalid == true
	not _instance_ok
	instance := input.request.instance
	isolation := input.service.isolation
	explicit_instance := input.service.explicit_instance
	finding := {
		"code": "instance_invalid",
		"message": $"The instance '{instance}' does not follow from isolation {isolation} with explicit_instance '{explicit_instance}'.",
		"evidence": {
			"instance": instance,
			"isolation": isolation,
			"explicit_instance": explicit_instance,
		},
	}
}

# METADATA
# title: Trace context
# description: traceparent has the W3C form, tracestate and the request id are short and free of control characters.
# custom:
#   code: trace_invalid
#   severity: medium
#   enforcement: mandatory
#   waivable: false
#   remediation: Pass a W3C traceparent and tracestate of at most 512 bytes each, without control characters, or none.
deny contains finding if {
	input.doubts.trace_invalid == true
	some field, wrong in _trace_wrong
	wrong == true
	finding := {
		"code": "trace_invalid",
		"message": $"The {field} of the request does not have the required form.",
		"evidence": {"field": field},
	}
}

_service_name_ok if {
	input.request.service == input.service.service_name
	count(input.request.service) <= 64
	regex.match(`^[a-z0-9-]+$`, input.request.service)
}

_instance_ok if {
	input.service.isolation == "PRIVATE_BROKER"
	input.service.explicit_instance == ""
	input.request.instance == concat(":", ["private", input.request.service])
}

_instance_ok if {
	input.service.isolation == "SHARED_BROKER"
	input.service.explicit_instance == ""
	input.request.instance == "shared"
}

_instance_ok if {
	input.service.isolation == "EXPLICIT_INSTANCE"
	count(input.service.explicit_instance) <= 64
	regex.match(`^[a-z0-9-]+$`, input.service.explicit_instance)
	input.request.instance == concat(":", ["explicit", input.service.explicit_instance])
}

_trace_wrong["traceparent"] if not _traceparent_ok

_trace_wrong["tracestate"] if not _tracestate_ok

_trace_wrong["request id"] if not _request_id_ok

_traceparent_ok if input.request.trace.traceparent == ""

_traceparent_ok if {
	parent := input.request.trace.traceparent
	regex.match(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`, parent)
	not startswith(parent, "ff-")
	not contains(parent, "-00000000000000000000000000000000-")
	not contains(parent, "-0000000000000000-")
}

_tracestate_ok if input.request.trace.tracestate == ""

_tracestate_ok if {
	count(input.request.trace.tracestate) <= 512
	regex.match(`^[ -~]*$`, input.request.trace.tracestate)
}

_request_id_ok if input.request.trace.request_id == ""

_request_id_ok if {
	count(hex.encode(input.request.trace.request_id)) <= 1024
	regex.match(`^[^\x00-\x1f\x7f-\x{9f}]*$`, input.request.trace.request_id)
}
