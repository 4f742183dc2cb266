package admission

// Input is everything a decision may look at. It is dense: every field is
// always present in the JSON form, lists are never null, and a fact that could
// not be had has its zero beside an Error that says so.
type Input struct {
	Schema   int          `json:"schema"` // always 1
	NowNS    int64        `json:"now_ns"` // Unix time of the launch, in nanoseconds
	Request  Request      `json:"request"`
	Service  Service      `json:"service"`
	Binary   File         `json:"binary"`
	Root     File         `json:"root"`
	Script   Script       `json:"script"`
	Caller   Caller       `json:"caller"`
	Env      []EnvVar     `json:"env"`
	EnvFacts EnvFacts     `json:"env_facts"`
	Files    []OutputFile `json:"files"`
	Hooks    []HookRun    `json:"hooks"`
	Host     Host         `json:"host"`
	Launcher Launcher     `json:"launcher"`
}

// Request is what the caller asked for.
type Request struct {
	Service  string `json:"service"`
	Version  string `json:"version"`
	Instance string `json:"instance"` // "shared", "private:<service>", "explicit:<name>"
	// Args is the argument vector after argv[0], with all names replaced.
	Args  []string `json:"args"`
	Trace Trace    `json:"trace"`
}

// Trace is the W3C trace context that travels with a request.
type Trace struct {
	Traceparent string `json:"traceparent"`
	Tracestate  string `json:"tracestate"`
	RequestID   string `json:"request_id"`
}

// Service is the definition that authorises the launch, with where it came from.
type Service struct {
	Name             string            `json:"service_name"`
	BinaryPath       string            `json:"binary_path"`
	Root             string            `json:"per_version_binary_dir"`
	Isolation        string            `json:"isolation"` // PRIVATE_BROKER, SHARED_BROKER, EXPLICIT_INSTANCE
	ExplicitInstance string            `json:"explicit_instance"`
	MinVersion       string            `json:"min_version"`
	VersionAllowList []string          `json:"version_allow_list"`
	Labels           map[string]string `json:"labels"`
	Launch           ServiceLaunch     `json:"launch"`
	// Source is "file", "flags" or "library".
	Source string `json:"source"`
	// Path, OwnerUID and Mode describe the definition's file; "" and 0 for the
	// other sources.
	Path     string `json:"path"`
	OwnerUID int64  `json:"owner_uid"`
	Mode     int64  `json:"mode"`
	// SHA256 is the digest of the file's bytes, or of the canonical JSON form of
	// a definition that came from no file; 64 lower-case hexadecimal digits.
	SHA256 string `json:"sha256"`
}

// ServiceLaunch is how the definition wants its backend started.
type ServiceLaunch struct {
	Argv0           string   `json:"argv0"`
	Dir             string   `json:"dir"`
	PassEnv         []string `json:"pass_env"`
	Probe           string   `json:"probe"` // identity, peer, notify
	ReadyTimeoutMS  int64    `json:"ready_timeout_ms"`
	SettleMS        int64    `json:"settle_ms"`
	IdleTimeoutSecs *int64   `json:"idle_timeout_secs"` // null is none
	Stderr          string   `json:"stderr"`            // "null", "tail" or a path
	Comm            string   `json:"comm"`              // base name of argv0
}

// File is what was measured of one file or directory. Paths are absolute.
type File struct {
	// Requested is the path as the definition writes it, Path the canonical one
	// after links are resolved, Segments its components without the root.
	Requested string   `json:"requested"`
	Path      string   `json:"path"`
	Segments  []string `json:"segments"`
	// Error is "" or the placement code that says which fact could not be had;
	// Detail is the system's reason.
	Error  string `json:"error"`
	Detail string `json:"detail"`
	// Kind is "regular", "directory", "link", "fifo", "socket", "device" or "".
	Kind string `json:"kind"`
	// SHA256 is "" when the file was not hashed (directories, too large).
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
	Mode   int64  `json:"mode"` // permission bits with set-id and sticky, at most 0o7777
	UID    int64  `json:"uid"`
	GID    int64  `json:"gid"`
	Links  int64  `json:"links"`
	// Executable: the launching user may execute it.
	Executable bool `json:"executable"`
	// WritableByOthers: a user other than the owner and root can write it, by
	// group, others or an access list. A group counts unless it is 0 or the
	// launching user's own private group.
	WritableByOthers bool `json:"writable_by_others"`
	Setuid           bool `json:"setuid"`
	Setgid           bool `json:"setgid"`
	Capabilities     bool `json:"capabilities"`
	// Format is "elf", "script", "unknown" or "" (not a regular file).
	Format string `json:"format"`
	Interp Interp `json:"interp"`
	Device int64  `json:"device"`
	Inode  int64  `json:"inode"`
	// MtimeNS and CtimeNS are Unix times in nanoseconds.
	MtimeNS int64 `json:"mtime_ns"`
	CtimeNS int64 `json:"ctime_ns"`
	Mount   Mount `json:"mount"`
	// Ancestors are the directories from "/" down to the one that holds the
	// file, as they were walked.
	Ancestors []Ancestor `json:"ancestors"`
	// AncestorsWritable lists those of Ancestors that others can write, sticky
	// ones included: whether a sticky bit protects the component below depends on
	// who owns that.
	AncestorsWritable []Ancestor `json:"ancestors_writable"`
	// AncestorOwners are the distinct owners of Ancestors, ascending.
	AncestorOwners []int64 `json:"ancestor_owners"`
	// InsideRoot (binary only): the allow-root's device and inode were walked
	// through on the way to the binary and its path is a prefix by component.
	InsideRoot bool `json:"inside_root"`
	// Broad (root only): "" or why the directory is too broad to be an
	// allow-root: "filesystem root", "system directory", "home directory",
	// "temporary directory".
	Broad string `json:"broad"`
}

// Interp is the ELF interpreter or the script interpreter of a binary; all
// empty when it has none.
type Interp struct {
	Path             string `json:"path"`      // as the file names it
	Canonical        string `json:"canonical"` // after links are resolved
	SHA256           string `json:"sha256"`
	UID              int64  `json:"uid"`
	Mode             int64  `json:"mode"`
	Error            string `json:"error"`
	WritableByOthers bool   `json:"writable_by_others"` // the file or a directory above it
	// SystemPlace: it stands in a system library directory.
	SystemPlace bool `json:"system_place"`
}

// Mount describes the file system that holds a file.
type Mount struct {
	FSType   string `json:"fs_type"`  // "ext4", "overlay", …; "unknown(0x…)"
	FSMagic  int64  `json:"fs_magic"` // statfs f_type
	ID       int64  `json:"id"`       // mount id; 0 when the kernel does not tell
	Noexec   bool   `json:"noexec"`
	Nosuid   bool   `json:"nosuid"`
	Readonly bool   `json:"readonly"`
	// Local: a file system of this machine whose writers the kernel sees.
	Local bool `json:"local"`
}

// Script is what the binary will interpret. A script that policy admits is
// decided on twice: first as the binary itself, then its interpreter is, whose
// allow-root is the directory that holds it, with these facts. Elsewhere they are
// empty.
type Script struct {
	Path   string `json:"path"` // canonical
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
	// Argument is what the script's first line gives to the interpreter.
	Argument string `json:"argument"`
}

// Ancestor is one directory on the way to a file.
type Ancestor struct {
	Path             string `json:"path"`
	UID              int64  `json:"uid"`
	GID              int64  `json:"gid"`
	Mode             int64  `json:"mode"`
	Sticky           bool   `json:"sticky"`
	WritableByOthers bool   `json:"writable_by_others"`
	// ChildUID owns the next component; a sticky directory is safe for it when
	// that owner is trusted.
	ChildUID int64 `json:"child_uid"`
}

// Caller is who launches. UID, GID and Groups are the launcher's effective ids
// and authoritative; Parent is advisory.
type Caller struct {
	UID    int64   `json:"uid"`
	GID    int64   `json:"gid"`
	Groups []int64 `json:"groups"`
	User   string  `json:"user"` // from the passwd entry, else ""
	Parent Parent  `json:"parent"`
}

// Parent describes the process that started the launcher.
type Parent struct {
	PID    int64  `json:"pid"`
	Exe    string `json:"exe"`
	SHA256 string `json:"sha256"` // "" unless policy asks for it
}

// Origins of environment variables, later wins.
const (
	OriginBaseline   = "baseline"
	OriginPass       = "pass_env"
	OriginDefinition = "definition"
	OriginConfig     = "configuration"
	OriginHook       = "hook" // "hook:<name>" in an EnvVar
	OriginContract   = "contract"
)

// EnvVar is one variable of the environment the backend would get.
type EnvVar struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Origin string `json:"origin"`
}

// EnvFacts are properties of the whole environment, computed by the launcher.
type EnvFacts struct {
	// Bytes is the sum of name, '=', value and NUL of each variable.
	Bytes int64 `json:"bytes"`
	// LargestValue is the length in bytes of the longest value.
	LargestValue int64 `json:"largest_value"`
	// Invalid lists the names (quoted where needed) of variables whose name does
	// not match [A-Za-z_][A-Za-z0-9_]*, or whose value holds a NUL byte or is not
	// valid UTF-8.
	Invalid []string `json:"invalid"`
	// Foreign lists the variables whose origin is neither baseline nor contract:
	// those that the rules on names look at.
	Foreign []EnvVar `json:"foreign"`
}

// OutputFile is a file that the definition generates for its backend.
type OutputFile struct {
	Name string `json:"name"`
	// SHA256 is of the text that will be written, TemplateSHA256 of the text in
	// the definition, which is the same at every launch.
	SHA256         string `json:"sha256"`
	TemplateSHA256 string `json:"template_sha256"`
	Size           int64  `json:"size"`
}

// HookRun is one environment hook of the definition, and what it changed once it
// has run.
type HookRun struct {
	Name string `json:"name"`
	// SHA256 is the digest of the bytes that were read and would run, "" when the
	// file could not be read; Pinned is the one that the definition demands.
	SHA256 string `json:"sha256"`
	Pinned string `json:"pinned"`
	// Ran: it has run to a good end; false before hooks may run.
	Ran bool `json:"ran"`
	// Error is "" or the code that says why it may not or did not run to a good
	// end, such as hook_invalid, hook_failed or hook_rejected. Detail is the
	// reason; text of the hook's own is quoted in it.
	Error  string `json:"error"`
	Detail string `json:"detail"`
	// Set and Unset are the names that it changed, sorted.
	Set   []string `json:"set"`
	Unset []string `json:"unset"`
}

// Host describes the machine.
type Host struct {
	OS        string `json:"os"`
	Arch      string `json:"arch"`
	Hostname  string `json:"hostname"`
	MachineID string `json:"machine_id"`
	BootID    string `json:"boot_id"`
	Kernel    string `json:"kernel"`
}

// Phases of a launch at which policy is asked.
const (
	PhaseAdmit = "admit" // before hooks may run
	PhaseFinal = "final" // the last word, on the environment as it will be
)

// Launcher describes the program that asks.
type Launcher struct {
	Version  string    `json:"version"`
	Mode     string    `json:"mode"` // enforce or monitor
	Bindings []Binding `json:"bindings"`
	// Confinement has those of [ConfineKeys] that can be applied to a child here.
	Confinement []string `json:"confinement"`
	Phase       string   `json:"phase"`
}
