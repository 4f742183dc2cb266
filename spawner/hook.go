package spawner

import "context"

// A Shaper opens the environment hooks of definitions; [Options] take one.
// Implementations must be safe for concurrent use.
type Shaper interface {
	// OpenHook reads the module at an absolute path once and checks it; nothing of
	// it runs. Nobody but root and the user uid may have been able to write it. A
	// module that could be read and is not acceptable comes with the error, so
	// that its digest is known; otherwise the module beside an error is nil. A
	// system that cannot run hooks gives an error that wraps errors.ErrUnsupported.
	OpenHook(uid int, path string) (HookModule, error)
}

// A HookModule is one opened hook.
type HookModule interface {
	// SHA256 is the digest of the bytes that would run; 64 lower-case hexadecimal
	// digits.
	SHA256() string
	// Run runs the hook and leaves nothing of it behind. An error is a hook that
	// did not end well; text of the hook's own is quoted in it. When ctx ends, it
	// has the code canceled.
	Run(ctx context.Context, in HookInput) (HookReply, error)
}

// HookInput is what a hook may know of a launch.
type HookInput struct {
	Name     string // the hook's own, from the definition
	Service  string
	Version  string
	Instance string
	// BinaryPath is canonical, BinarySHA256 the measured digest.
	BinaryPath   string
	BinarySHA256 string
	Args         []string
	// Env is the environment as the hooks before this one have left it.
	Env    map[string]string
	Labels map[string]string
	// Config is what the definition hands to this hook.
	Config map[string]any
}

// HookReply is what a hook proposes. Every text is the hook's own: quote it
// before it is shown.
type HookReply struct {
	Set      map[string]string
	Unset    []string
	Warnings []string
	// Stderr is what it wrote to standard error, also beside an error.
	Stderr []byte
	// Reject, when not nil, is the hook's decision against the launch.
	Reject *HookRejection
}

// HookRejection is why a hook decided against a launch.
type HookRejection struct {
	Code    string
	Message string
}
