package code

import "slices"

// Codes of the policy library: what Rego can find wrong with a launch. The
// rules that find them are under rego/launch/rules, one file a subject.
const (
	ServiceNameInvalid           Code = "service_name_invalid"
	VersionInvalid               Code = "version_invalid"
	InstanceInvalid              Code = "instance_invalid"
	TraceInvalid                 Code = "trace_invalid"
	DefinitionSourceNotPermitted Code = "definition_source_not_permitted"
	DefinitionOwnerUntrusted     Code = "definition_owner_untrusted"
	BinaryPathEmpty              Code = "binary_path_empty"
	AllowRootEmpty               Code = "allow_root_empty"
	BinaryUnresolvable           Code = "binary_unresolvable"
	AllowRootUnresolvable        Code = "allow_root_unresolvable"
	AllowRootNotDirectory        Code = "allow_root_not_directory"
	BinaryOutsideAllowRoot       Code = "binary_outside_allow_root"
	AllowRootTooBroad            Code = "allow_root_too_broad"
	AllowRootNotPermitted        Code = "allow_root_not_permitted"
	BinaryNotRegular             Code = "binary_not_regular"
	BinaryNotExecutable          Code = "binary_not_executable"
	BinaryIsScript               Code = "binary_is_script"
	BinaryFormatUnknown          Code = "binary_format_unknown"
	ELFInterpreterUntrusted      Code = "elf_interpreter_untrusted"
	BinarySetuid                 Code = "binary_setuid"
	BinaryFileCapabilities       Code = "binary_file_capabilities"
	BinaryWritableByOthers       Code = "binary_writable_by_others"
	BinaryOwnerUntrusted         Code = "binary_owner_untrusted"
	BinaryHardLinks              Code = "binary_hard_links"
	BinaryTooLarge               Code = "binary_too_large"
	BinaryMountUntrusted         Code = "binary_mount_untrusted"
	AncestorWritableByOthers     Code = "ancestor_writable_by_others"
	AncestorOwnerUntrusted       Code = "ancestor_owner_untrusted"
	VersionBelowMinimum          Code = "version_below_minimum"
	VersionNotListed             Code = "version_not_listed"
	VersionPrereleaseNotAllowed  Code = "version_prerelease_not_allowed"
	DigestDenied                 Code = "digest_denied"
	DigestNotListed              Code = "digest_not_listed"
	DigestVersionMismatch        Code = "digest_version_mismatch"
	CallerNotPermitted           Code = "caller_not_permitted"
	CallerGroupRequired          Code = "caller_group_required"
	EnvNameForbidden             Code = "env_name_forbidden"
	EnvValueInvalid              Code = "env_value_invalid"
	EnvTooLarge                  Code = "env_too_large"
	HookNotListed                Code = "hook_not_listed"
	HookDigestMismatch           Code = "hook_digest_mismatch"
	HookTouchedForbiddenName     Code = "hook_touched_forbidden_name"
	HookRejected                 Code = "hook_rejected"
	HookFailed                   Code = "hook_failed"
	BindingTooWeak               Code = "binding_too_weak"
	ConfinementRequired          Code = "confinement_required"
	SealedSourceNoexec           Code = "sealed_source_noexec"
	GrantMissing                 Code = "grant_missing"
	WaiverExpired                Code = "waiver_expired"
)

func policyTable() []Entry {
	e := func(c Code, subject string, level Enforcement, severity, fix string) Entry {
		return Entry{Code: c, Subject: subject, Exit: ExitDenied, Enforcement: level, Severity: severity, Fix: fix}
	}
	return []Entry{
		e(ServiceNameInvalid, "request", Mandatory, "high", "Use 1 to 64 characters of a-z, 0-9 and '-'; upper case is refused because it would collide on case-insensitive systems."),
		e(VersionInvalid, "request", Mandatory, "high", "Write the version as MAJOR.MINOR.PATCH with an optional '-' tail of a-z, 0-9 and '.'; no leading zeros, no build tag."),
		e(InstanceInvalid, "request", Mandatory, "high", "Make isolation and explicit_instance agree: a name for EXPLICIT_INSTANCE, none for the others."),
		e(TraceInvalid, "request", Mandatory, "medium", "Pass a W3C traceparent and tracestate of at most 512 bytes each, without control characters, or none."),
		e(DefinitionSourceNotPermitted, "definition", Standard, "high", "Put the definition into a services directory, or let definitions.sources list where it comes from."),
		e(DefinitionOwnerUntrusted, "definition", Standard, "high", "Let the launching user, root or one of binary.trusted_owners own the definition file."),
		e(BinaryPathEmpty, "placement", Mandatory, "high", "Set binary_path in the service definition."),
		e(AllowRootEmpty, "placement", Mandatory, "high", "Set per_version_binary_dir in the service definition."),
		e(BinaryUnresolvable, "placement", Mandatory, "high", "Install the binary at binary_path and make it readable for the launching user."),
		e(AllowRootUnresolvable, "placement", Mandatory, "high", "Create the directory that per_version_binary_dir names, or correct the name."),
		e(AllowRootNotDirectory, "placement", Mandatory, "high", "Let per_version_binary_dir name a directory."),
		e(BinaryOutsideAllowRoot, "placement", Mandatory, "high", "Move the binary under per_version_binary_dir, or correct the directory; links are resolved on both sides."),
		e(AllowRootTooBroad, "placement", Standard, "high", "Name a directory of the program's own, or list this one in roots.allow_broad."),
		e(AllowRootNotPermitted, "placement", Standard, "high", "Use one of roots.allowed, or add this root there."),
		e(BinaryNotRegular, "file", Mandatory, "high", "Let binary_path lead to a regular file."),
		e(BinaryNotExecutable, "file", Mandatory, "high", "Give the file its execute permission for the launching user."),
		e(BinaryIsScript, "file", Standard, "high", "Name the program itself, or list the script's interpreter in binary.interpreters: it is then measured and decided on as a binary of its own."),
		e(BinaryFormatUnknown, "file", Standard, "high", "Use an ELF program; other formats are run through helpers that nobody measured."),
		e(ELFInterpreterUntrusted, "file", Standard, "high", "Link the program against the system's dynamic loader, owned by root in a system library directory."),
		e(BinarySetuid, "file", Standard, "high", "Remove the set-user-id or set-group-id bit, or set binary.allow_setuid."),
		e(BinaryFileCapabilities, "file", Standard, "high", "Remove the file's capabilities (setcap -r), or set binary.allow_setuid."),
		e(BinaryWritableByOthers, "file", Standard, "high", "Remove the write permission of group and others from the binary."),
		e(BinaryOwnerUntrusted, "file", Standard, "high", "Let the launching user or root own the binary, or list its owner in binary.trusted_owners."),
		e(BinaryHardLinks, "file", Standard, "medium", "Install a copy with a single name: another name may stand where others can use it."),
		e(BinaryTooLarge, "file", Mandatory, "medium", "Raise binary.max_bytes, or launch a smaller program."),
		e(BinaryMountUntrusted, "file", Standard, "medium", "Install the binary on a local file system that permits execution."),
		e(AncestorWritableByOthers, "file", Standard, "high", "Remove the write permission of group and others from the directory that the message names."),
		e(AncestorOwnerUntrusted, "file", Standard, "high", "Let the launching user or root own the directory that the message names, or list its owner in binary.trusted_owners."),
		e(VersionBelowMinimum, "version", Standard, "high", "Request a version that is not below min_version."),
		e(VersionNotListed, "version", Standard, "high", "Request a version of version_allow_list, or add this one to the definition."),
		e(VersionPrereleaseNotAllowed, "version", Standard, "medium", "Request a release, list the pre-release in version_allow_list, or set versions.allow_prerelease."),
		e(DigestDenied, "digest", Mandatory, "critical", "Do not run this file: its digest is on the deny-list. Install another build."),
		e(DigestNotListed, "digest", Standard, "high", "Add the digest to digests.allow after you have checked the file, or install a listed build."),
		e(DigestVersionMismatch, "digest", Standard, "high", "Install the release that was requested: the catalogue knows this file as another one."),
		e(CallerNotPermitted, "caller", Standard, "high", "Launch as one of callers.uids, or add the user there."),
		e(CallerGroupRequired, "caller", Standard, "high", "Launch as a member of one of callers.gids, or add the group there."),
		e(EnvNameForbidden, "environment", Standard, "high", "Remove the variable from the definition, or let env.allow name it for this service."),
		e(EnvValueInvalid, "environment", Mandatory, "high", "Use names of letters, digits and '_' and values without NUL bytes."),
		e(EnvTooLarge, "environment", Mandatory, "medium", "Pass less: a value may have 32 KiB and the whole environment 128 KiB."),
		e(HookNotListed, "hook", Mandatory, "high", "Let hooks.allow of the policy's configuration name the hook with its digest, or remove it from the definition."),
		e(HookDigestMismatch, "hook", Mandatory, "critical", "Find out who changed the hook's file; after a change of your own write the digest that 'hook check FILE' prints into the definition and hooks.allow."),
		e(HookTouchedForbiddenName, "hook", Mandatory, "high", "Let the hook leave the variable alone, or let may_touch of hooks.allow name it; one that env.deny names must stand in env.allow of the service as well."),
		e(HookRejected, "hook", Mandatory, "high", "The hook decided against the launch; remove the reason that its message names."),
		e(HookFailed, "hook", Mandatory, "high", "Correct the hook: it must end with status 0 in time after writing one reply; 'hook check FILE' and 'hook run FILE' show what is wrong."),
		e(BindingTooWeak, "binding", Mandatory, "high", "Launch on a system that offers the binding in binding.minimum, or lower it there."),
		e(ConfinementRequired, "binding", Mandatory, "high", "Launch on a system that has the confinement which confine asks for, or ask for less there."),
		e(SealedSourceNoexec, "binding", Mandatory, "high", "Install the binary on a mount that permits execution: a copy of it must not run where it could not run itself."),
		e(GrantMissing, "decision", Mandatory, "high", "Load the whole library and give every grant that require_grants names."),
		e(WaiverExpired, "decision", Standard, "low", "Renew the waiver after reviewing its reason, or remove the cause and delete it."),
	}
}

// Table lists every code, launcher codes first, each exactly once. The result
// is the caller's to keep and change.
func Table() []Entry {
	return slices.Concat(launchTable(), probeTable(), logTable(), hookTable(), policyTable())
}
