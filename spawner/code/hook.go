package code

// HookInvalid is a module that the gate refuses. In a launch it is the detail of
// [HookFailed]; the commands for authors report it by itself.
const HookInvalid Code = "hook_invalid"

func hookTable() []Entry {
	return []Entry{{
		Code: HookInvalid, Subject: "hook", Exit: ExitDenied,
		Fix: "Build the hook as a WASI preview-1 command within the limits that the message names; 'hook check FILE' checks it again.",
	}}
}
