package scripted

// Report is what a launched process sees of itself, as print writes it.
type Report struct {
	Args    []string `json:"args"`
	Environ []string `json:"environ"` // as given, in order
	Dir     string   `json:"dir"`
	PID     int      `json:"pid"`
	PPID    int      `json:"ppid"`
	Session int      `json:"session"`
	Group   int      `json:"group"` // process group
	// TTY is the number of the controlling terminal, 0 for none.
	TTY  int    `json:"tty"`
	Comm string `json:"comm"`
	Exe  string `json:"exe"`
	// Descriptors maps the open ones to their targets. Those that the runtime of
	// the language has for itself ("anon_inode:[eventpoll]", "[eventfd]") are
	// there when it has opened them already.
	Descriptors map[int]string `json:"descriptors"`
	// Status holds the lines of /proc/self/status: Umask, NoNewPrivs, CapEff, …
	Status map[string]string `json:"status"`
}
