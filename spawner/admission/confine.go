package admission

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Confine is what restricts a backend. Its zero value asks for nothing.
type Confine struct {
	// NoNewPrivs: no program that it starts gains privileges by set-id bits or
	// file capabilities.
	NoNewPrivs bool `json:"no_new_privs"`
	// Umask is three or four octal digits, whose bits are added to the umask that
	// the backend would have; "" adds none.
	Umask string `json:"umask"`
	// Nice is -20 to 19, OOMScoreAdj -1000 to 1000; nil leaves it alone.
	Nice        *int `json:"nice"`
	OOMScoreAdj *int `json:"oom_score_adj"`
	// Cgroup is a control group (version 2) that exists, below the root of the
	// mounted control group file system; "" leaves the backend where its launcher is.
	Cgroup string `json:"cgroup"`
	// DropCaps are capabilities that it does not have and cannot gain.
	DropCaps DropCaps `json:"drop_caps"`
	// Limits maps names of [LimitNames] to resource limits.
	Limits Limits `json:"limits"`
	// Landlock says which files it can still use; nil leaves it alone.
	Landlock *Landlock `json:"landlock"`
}

// IsZero reports whether nothing is asked for.
func (c *Confine) IsZero() bool { return len(c.Keys()) == 0 }

// Keys names what is asked for, in the order of [ConfineKeys].
func (c *Confine) Keys() []string {
	asked := []bool{
		c.NoNewPrivs, c.Umask != "", c.Nice != nil, c.OOMScoreAdj != nil, c.Cgroup != "",
		c.DropCaps.All || len(c.DropCaps.Names) > 0, len(c.Limits) > 0, c.Landlock != nil,
	}
	keys := []string{}
	for i, key := range ConfineKeys() {
		if asked[i] {
			keys = append(keys, key)
		}
	}
	return keys
}

// ConfineKeys names the kinds of confinement.
func ConfineKeys() []string {
	return strings.Fields("no_new_privs umask nice oom_score_adj cgroup drop_caps limits landlock")
}

// DropCaps is a list of capability names ("CAP_NET_RAW"), or all of them. In
// JSON it is that list or the word "all".
type DropCaps struct {
	All   bool
	Names []string
}

// MarshalJSON gives the list, or the word.
func (d DropCaps) MarshalJSON() ([]byte, error) {
	if d.All {
		return json.Marshal("all")
	}
	return json.Marshal(append([]string{}, d.Names...))
}

// UnmarshalJSON takes the list, or the word.
func (d *DropCaps) UnmarshalJSON(data []byte) error {
	var names []string
	if err := json.Unmarshal(data, &names); err == nil {
		*d = DropCaps{Names: names}
		return nil
	}
	if string(data) != `"all"` {
		return fmt.Errorf("drop_caps is %s, not a list of names or the word all", data)
	}
	*d = DropCaps{All: true}
	return nil
}

// Limits maps a name such as "nofile" to its limit. A nil map is an empty one.
type Limits map[string]Limit

// MarshalJSON gives an object, never null.
func (l Limits) MarshalJSON() ([]byte, error) {
	if l == nil {
		return []byte("{}"), nil
	}
	return json.Marshal(map[string]Limit(l))
}

// Limit is a resource limit, in the unit of setrlimit(2).
type Limit struct {
	Soft uint64 `json:"soft"`
	Hard uint64 `json:"hard"`
}

// Landlock lists absolute paths of files and directories with all below them.
// Everything else is denied, but what the launcher adds for the backend to
// start and to answer at all.
type Landlock struct {
	Read  []string `json:"read"`
	Write []string `json:"write"`
	Exec  []string `json:"exec"`
}

// MarshalJSON gives lists, never null.
func (l Landlock) MarshalJSON() ([]byte, error) {
	type lists Landlock
	return json.Marshal(lists{append([]string{}, l.Read...), append([]string{}, l.Write...), append([]string{}, l.Exec...)})
}

// LimitNames are the resource limits of Linux.
func LimitNames() []string {
	return strings.Fields("as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack")
}

// CapNames are the capabilities of Linux, by number.
func CapNames() []string {
	names := strings.Fields(`CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
		NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT
		SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE
		MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`)
	for i, name := range names {
		names[i] = "CAP_" + name
	}
	return names
}

// ParseUmask reads three or four octal digits.
func ParseUmask(text string) (int, error) {
	if n := len(text); n < 3 || n > 4 || strings.Trim(text, "01234567") != "" || n == 4 && text[0] != '0' {
		return 0, errors.New("is not a mask; write three octal digits, such as \"0077\", in quotes")
	}
	mask := 0
	for _, digit := range text {
		mask = mask<<3 | int(digit-'0')
	}
	return mask, nil
}
