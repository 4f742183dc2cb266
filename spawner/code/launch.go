package code

// Codes of the launcher itself: what can go wrong around the decision.
const (
	Usage                Code = "usage"
	Unsupported          Code = "unsupported"
	Failed               Code = "failed"
	OutputFailed         Code = "output_failed"
	ConfigInvalid        Code = "config_invalid"
	Canceled             Code = "canceled"
	SetIDRefused         Code = "set_id_refused"
	ServiceUnknown       Code = "service_unknown"
	ServiceInvalid       Code = "service_invalid"
	DirectoryUnsafe      Code = "directory_unsafe"
	StateFailed          Code = "state_failed"
	RecordCorrupt        Code = "record_corrupt"
	EndpointTooLong      Code = "endpoint_too_long"
	EndpointExhausted    Code = "endpoint_exhausted"
	NoMachineID          Code = "no_machine_id"
	PathChanged          Code = "path_changed"
	MeasureFailed        Code = "measure_failed"
	LauncherFailed       Code = "launcher_failed"
	PolicyInvalid        Code = "policy_invalid"
	PolicyUndefined      Code = "policy_undefined"
	PolicyConflict       Code = "policy_conflict"
	PolicyFailed         Code = "policy_error"
	PolicyTimeout        Code = "policy_timeout"
	PolicyTestFailed     Code = "policy_test_failed"
	SpawnFailed          Code = "spawn_failed"
	BindingUnavailable   Code = "binding_unavailable"
	BindingMismatch      Code = "binding_mismatch"
	ConfinementUnavail   Code = "confinement_unavailable"
	SetidNeedsLeased     Code = "setid_needs_leased"
	IdentityMismatch     Code = "identity_mismatch"
	ExitedEarly          Code = "exited_early"
	ReadyTimeout         Code = "ready_timeout"
	PeerMismatch         Code = "peer_mismatch"
	BackendForkedAway    Code = "backend_forked_away"
	BackendFailed        Code = "backend_failed"
	BackendUnresponsive  Code = "backend_unresponsive"
	ProbeFrame           Code = "probe_frame"
	ProbeVersion         Code = "probe_version"
	ProbeKind            Code = "probe_kind"
	ProbeProtocol        Code = "probe_protocol"
	ProbeRequestID       Code = "probe_request_id"
	ProbeEncoding        Code = "probe_encoding"
	ProbePayload         Code = "probe_payload"
	ProbeNonce           Code = "probe_nonce"
	ProbeIdentity        Code = "probe_identity"
	ProbeEndpointMissing Code = "probe_endpoint_missing"
	ProbeDigestLength    Code = "probe_digest_length"
	ProbePID             Code = "probe_pid"
	ProbeExePath         Code = "probe_exe_path"
	ProbeDigest          Code = "probe_exe_sha256"
	ProbeBootID          Code = "probe_boot_id"
	ProbeEndpoint        Code = "probe_endpoint"
	RateLimited          Code = "rate_limited"
	InProgress           Code = "in_progress"
)

func launchTable() []Entry {
	e := func(c Code, subject string, exit int, fix string) Entry {
		return Entry{Code: c, Subject: subject, Exit: exit, Fix: fix}
	}
	return []Entry{
		e(Usage, "command", ExitUsage, "Correct the command line; --help shows the form."),
		e(Unsupported, "command", ExitOther, "Use a system that provides the feature; the message names what is missing."),
		e(Failed, "command", ExitOther, "Read the cause, which comes from the system, and remove it."),
		e(OutputFailed, "command", ExitOther, "Give the command an output that can be written; a backend whose handle could not be told was stopped, so launch it again."),
		e(ConfigInvalid, "command", ExitOther, "Correct the file that the message names, as root; nothing runs with half of what it pins."),
		e(Canceled, "command", ExitOther, "Run it again, or give it more time: the launch was cancelled before it finished and was undone."),
		e(SetIDRefused, "command", ExitOther, "Remove the set-id bits or file capabilities from the command and run it as the user who should own the backend."),
		e(ServiceUnknown, "service", ExitOther, "Add a definition for the service to a services directory, or name one that is there."),
		e(ServiceInvalid, "service", ExitOther, "Correct the definition at the place that the message names; 'service validate FILE' checks it again."),
		e(DirectoryUnsafe, "state", ExitOther, "Give the directory to the user who launches and remove the access of others (mode 0700), or choose another one."),
		e(StateFailed, "state", ExitOther, "Free space on, or make writable, the file or directory that the message names, or choose another one with --state, then run it again."),
		e(RecordCorrupt, "state", ExitOther, "Look at the record that the message names; end its process if it still runs, then delete the file."),
		e(EndpointTooLong, "endpoint", ExitOther, "Use a shorter runtime directory: a Unix socket path must be shorter than 108 bytes on Linux, 104 on macOS."),
		e(EndpointExhausted, "endpoint", ExitOther, "Look for whatever fills the endpoint directory; sixteen random names in a row were taken."),
		e(NoMachineID, "endpoint", ExitOther, "Pass --user-hash with 16 hexadecimal digits, or give the container an /etc/machine-id."),
		e(PathChanged, "measure", ExitOther, "Find out who renames files on the path during a launch, and launch again."),
		e(MeasureFailed, "measure", ExitOther, "Check the file system that holds the file; it could be opened but not read to its end."),
		e(LauncherFailed, "command", ExitOther, "Read the cause: it comes from a launcher that was plugged in."),
		e(PolicyInvalid, "policy", ExitPolicy, "Correct the policy at the place that the message names; nothing is launched with a policy that does not load."),
		e(PolicyUndefined, "policy", ExitPolicy, "The policy gave no decision. Check that no module replaces the library's entry point."),
		e(PolicyConflict, "policy", ExitPolicy, "The policy gave contradictory results. Make every rule that the message names yield one value."),
		e(PolicyFailed, "policy", ExitPolicy, "Evaluation failed. Correct the expression at the place that the message names."),
		e(PolicyTimeout, "policy", ExitPolicy, "Make the site's rules cheaper; a decision must be made within its deadline."),
		e(PolicyTestFailed, "policy", ExitOther, "Correct the rule, or the test, at the place that the message names; or write a test for the lines that none reaches."),
		e(SpawnFailed, "spawn", ExitSpawn, "Read the cause: the system refused to start the measured file."),
		e(BindingUnavailable, "spawn", ExitSpawn, "Use a system or a file system that offers the binding which policy demands, or let policy demand a weaker one."),
		e(BindingMismatch, "spawn", ExitIdentity, "Find out who replaces or writes the binary during a launch, and launch again."),
		e(ConfinementUnavail, "spawn", ExitSpawn, "Use a kernel that offers the confinement which policy demands, or ask for less."),
		e(SetidNeedsLeased, "spawn", ExitSpawn, "Let policy accept binding leased for this service: a traced start would lose the file's privileges."),
		e(IdentityMismatch, "probe", ExitIdentity, "The recorded process is no longer the one that was launched. Stop it by hand if it is yours, then launch again."),
		e(RateLimited, "budget", ExitLimited, "Wait as long as the message says; three started backends in a row failed within 30 seconds."),
		e(InProgress, "budget", ExitLimited, "Wait until the launch that is in progress has ended; the message names its process."),
	}
}

// probeTable has what can go wrong between the first instruction and the handle.
func probeTable() []Entry {
	e := func(c Code, fix string) Entry {
		return Entry{Code: c, Subject: "probe", Exit: ExitProbe, Fix: fix}
	}
	const backendFix = "Build the backend with the spawner/backend package, or use probe: peer for a server that does not speak the identity protocol."
	return []Entry{
		e(ExitedEarly, "Read the backend's own messages (stderr: tail shows them); a server must stay in the foreground."),
		e(ReadyTimeout, "Raise ready_timeout if the backend starts slowly, and check that it listens on ${endpoint} or, with probe: notify, says READY=1 itself."),
		e(PeerMismatch, "Make the launched process itself listen on ${endpoint}; find out which process squats it."),
		e(BackendForkedAway, "Run the server in the foreground: it must not detach itself after it listens."),
		e(BackendFailed, "The backend itself says that it cannot start (ERRNO): remove the cause that the message names."),
		e(BackendUnresponsive, "The backend runs but does not answer. Stop it, or wait until it answers."),
		e(ProbeFrame, backendFix),
		e(ProbeVersion, backendFix),
		e(ProbeKind, backendFix),
		e(ProbeProtocol, backendFix),
		e(ProbeRequestID, backendFix),
		e(ProbeEncoding, backendFix),
		e(ProbePayload, backendFix),
		e(ProbeNonce, "The answer does not belong to this question. Something replays old answers, or the backend mixes up connections."),
		e(ProbeIdentity, backendFix),
		e(ProbeEndpointMissing, backendFix),
		e(ProbeDigestLength, backendFix),
		e(ProbePID, "Let the launched process answer the probe itself, not a child of it."),
		e(ProbeExePath, "Let the backend report the canonical path of its own executable; make sure nobody renames it during the launch."),
		e(ProbeDigest, "Let the backend report the SHA-256 of its own running executable."),
		e(ProbeBootID, "Let the backend report the boot id of the running system."),
		e(ProbeEndpoint, "Let the backend report the namespace and path that it was given in its environment."),
	}
}
