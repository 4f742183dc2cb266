// Package service reads service definitions: what may serve a name, and how it
// is started. It knows their formats (YAML, JSON, protobuf), the directories
// they stand in, what makes one valid, and how names such as ${endpoint} in
// them are replaced.
//
// # Guarantees
//
// Reading is strict in every format: an unknown or repeated field, a value of
// the wrong type, an alias or a second document is an error that names the line.
// A [Definition] that [Parse] or [Load] returns has every default filled in and
// satisfies [Definition.Validate]. Nothing in a definition is silently ignored:
// what this release cannot do yet is reported by [Definition.Unsupported].
//
// On Linux, [Load] walks to a services directory by descriptors, trusts
// no directory on the way that another unprivileged user can change, and opens
// the file relative to the directory that was checked, without following a link.
// On other systems [Load] and [List] return an error that wraps
// errors.ErrUnsupported; everything else works everywhere.
//
// The package has no state, prints nothing and keeps nothing between calls: a
// definition is read again at every use.
package service

import "time"

// Definition says what may serve a name. Its first part is the v1 message that
// existing tools share; Launch is this project's addition.
//
// Write one in Go by starting from [Defaults], or call [Definition.Normalize]
// to have empty fields filled in.
type Definition struct {
	// ServiceName is 1 to 64 characters of a-z, 0-9 and '-'.
	ServiceName string `yaml:"service_name"`
	// BinaryPath is the absolute path of the program. Empty is valid here and
	// denied by policy (binary_path_empty).
	BinaryPath string `yaml:"binary_path"`
	// PerVersionBinaryDir is the allow-root: the absolute directory that must
	// hold the binary. Empty is valid here and denied by policy (allow_root_empty).
	PerVersionBinaryDir string `yaml:"per_version_binary_dir"`
	// Isolation says which broker instance the backend belongs to; empty means
	// [PrivateBroker].
	Isolation Isolation `yaml:"isolation"`
	// ExplicitInstance names the instance of [ExplicitInstance] isolation and is
	// empty for the others.
	ExplicitInstance string `yaml:"explicit_instance"`
	// MinVersion is the lowest version that may be launched; empty is no floor.
	MinVersion string `yaml:"min_version"`
	// VersionAllowList lists the versions that may be launched; empty is any.
	VersionAllowList []string `yaml:"version_allow_list"`
	// Labels are free text for people and site rules.
	Labels map[string]string `yaml:"labels"`
	// Launch says how the backend is started.
	Launch Launch `yaml:"launch"`
}

// Launch is how a backend is started and how it proves that it is ready.
type Launch struct {
	// Args is the argument vector after argv[0]. Names are replaced.
	Args []string `yaml:"args"`
	// Dir is the working directory; empty means "/". Names are replaced.
	Dir string `yaml:"dir"`
	// Env is the definition's layer of the environment. Names are replaced in
	// the values.
	Env map[string]string `yaml:"env"`
	// PassEnv names variables that are taken from the launcher's environment,
	// where policy allows it.
	PassEnv []string `yaml:"pass_env"`
	// Probe is the proof of readiness; empty means [ProbeIdentity].
	Probe Probe `yaml:"probe"`
	// ReadyTimeout is how long the backend may take until it is ready, at most
	// [MaxReadyTimeout]; 0 means [DefaultReadyTimeout].
	ReadyTimeout time.Duration `yaml:"ready_timeout"`
	// IdleTimeout is recorded for the backend, in whole seconds; nil is none.
	// Definitions that do not mention it get [DefaultIdleTimeout].
	IdleTimeout *time.Duration `yaml:"idle_timeout"`
	// Argv0 is the absolute path that the program sees as argv[0]; empty means
	// BinaryPath as written.
	Argv0 string `yaml:"argv0"`
	// Settle is how long a backend with the peer probe must stay alive after
	// the proof; 0 means [DefaultSettle].
	Settle time.Duration `yaml:"settle"`
	// Stderr is [StderrNull], [StderrTail] or the absolute path of a file that
	// standard error is appended to; empty means [StderrNull].
	Stderr string `yaml:"stderr"`
	// Files are written into the private run directory before the start.
	Files []File `yaml:"files"`
	// Confine restricts the backend more than policy does, never less.
	Confine Confine `yaml:"confine"`
	// Hooks are WebAssembly modules that propose changes to the environment, in
	// the order in which they run.
	Hooks []Hook `yaml:"hooks"`
}

// Isolation says which broker instance a backend belongs to.
type Isolation string

// The isolations of the v1 contract.
const (
	PrivateBroker    Isolation = "PRIVATE_BROKER"    // an instance of its own
	SharedBroker     Isolation = "SHARED_BROKER"     // the one shared instance
	ExplicitInstance Isolation = "EXPLICIT_INSTANCE" // the instance that is named
)

// Probe is how a backend proves that it is ready and that it is itself.
type Probe string

// The probes.
const (
	ProbeIdentity Probe = "identity" // the nonce protocol of the v1 contract
	ProbePeer     Probe = "peer"     // any server that listens on a Unix socket
	ProbeNotify   Probe = "notify"   // systemd's readiness message
)

// Where standard error may go, besides an absolute path.
const (
	StderrNull = "null" // discarded
	StderrTail = "tail" // the last 4 KiB are kept and shown when it dies early
)

// Defaults and limits of definitions.
const (
	DefaultDir          = "/"
	DefaultReadyTimeout = 10 * time.Second
	MaxReadyTimeout     = 60 * time.Second
	DefaultIdleTimeout  = 30 * time.Second
	DefaultSettle       = 20 * time.Millisecond
	MaxSettle           = 60 * time.Second
	// MaxBytes is the largest definition, as a file and in canonical form.
	MaxBytes = 1 << 20
)

// File is a file that is generated for the backend, mode 0600, in its private
// run directory; it is removed at stop.
type File struct {
	// Name is a single path component.
	Name string `yaml:"name"`
	// Content is the text. Names are replaced.
	Content string `yaml:"content"`
}

// Hook is one environment hook, pinned by its digest.
type Hook struct {
	Name string `yaml:"name"`
	// Path is absolute or relative to the definition's directory.
	Path string `yaml:"path"`
	// SHA256 is 64 lower-case hexadecimal digits.
	SHA256 string `yaml:"sha256"`
	// Config is handed to the hook. Its values are string, bool, int64, float64,
	// nil, []any and map[string]any.
	Config map[string]any `yaml:"config"`
}

// Confine is what restricts a backend. Its zero value asks for nothing.
type Confine struct {
	NoNewPrivs bool `yaml:"no_new_privs"`
	// Umask is three or four octal digits; empty leaves it alone.
	Umask string `yaml:"umask"`
	// Nice is -20 to 19, OOMScoreAdj -1000 to 1000; nil leaves it alone.
	Nice        *int `yaml:"nice"`
	OOMScoreAdj *int `yaml:"oom_score_adj"`
	// Cgroup is a control group's path below the cgroup file system's root.
	Cgroup string `yaml:"cgroup"`
	// DropCaps are capabilities that are taken away.
	DropCaps DropCaps `yaml:"drop_caps"`
	// Limits maps names such as "nofile" to resource limits.
	Limits map[string]Limit `yaml:"limits"`
	// Landlock restricts the file system; nil leaves it alone.
	Landlock *Landlock `yaml:"landlock"`
}

// DropCaps is a list of capability names ("CAP_NET_RAW"), or all of them. In a
// file it is that list or the word "all".
type DropCaps struct {
	All   bool
	Names []string
}

// Limit is a resource limit. In a file it is one number for both, or
// {soft: N, hard: N}.
type Limit struct {
	Soft uint64 `yaml:"soft"`
	Hard uint64 `yaml:"hard"`
}

// Landlock lists absolute paths that stay accessible.
type Landlock struct {
	Read  []string `yaml:"read"`
	Write []string `yaml:"write"`
	Exec  []string `yaml:"exec"`
}
