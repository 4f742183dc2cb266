package code

// Codes of environment hooks. Each denies the launch.
const (
	HookInvalid        Code = "hook_invalid"
	HookDigestMismatch Code = "hook_digest_mismatch"
	HookFailed         Code = "hook_failed"
	HookRejected       Code = "hook_rejected"
)

func hookTable() []Entry {
	e := func(c Code, fix string) Entry {
		return Entry{Code: c, Subject: "hook", Exit: ExitDenied, Fix: fix}
	}
	return []Entry{
		e(HookInvalid, "Build the hook as a WASI preview-1 command within the limits that the message names; 'hook check FILE' checks it again."),
		e(HookDigestMismatch, "Find out who changed the hook's file; after a change of your own write the digest that 'hook check FILE' prints into the definition."),
		e(HookFailed, "Correct the hook: it must end with status 0 in time after writing one reply; 'hook run FILE' shows what it writes."),
		e(HookRejected, "The hook decided against the launch; remove the reason that its message names."),
	}
}
