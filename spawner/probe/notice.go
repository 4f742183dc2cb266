package probe

import (
	"bytes"
	"strconv"
	"strings"
	"syscall"
)

// EnvNotifySocket tells a backend where to say that it is ready.
const EnvNotifySocket = "NOTIFY_SOCKET"

// MaxNotice is the largest readiness message that is read, in bytes.
const MaxNotice = 4096

// maxStatus bounds what is kept of a status text, in bytes.
const maxStatus = 256

// maxErrno is the largest error number of a system (MAX_ERRNO of Linux).
const maxErrno = 4095

// Notice is what one readiness message of a process says (sd_notify(3)). The
// fields that it does not mention are zero; everything else that such a message
// can say has no effect here.
type Notice struct {
	Ready bool
	// Status is a text for people, cut to a bounded length; it comes from the
	// backend: quote it where it is shown.
	Status string
	// Errno says that the start failed, and why.
	Errno syscall.Errno
	// MainPID is the process that the sender calls the main one.
	MainPID int
}

// Ignored counts messages that had no effect.
type Ignored struct {
	Foreign   int // of another process
	LastPID   int // of the last of these; 0 for one of another pid namespace
	Malformed int // too long, or no message at all
}

// ParseNotice reads one message: lines of NAME=VALUE, of which unknown ones are
// passed over. ok is false when it is none.
func ParseNotice(message []byte) (n Notice, ok bool) {
	message = bytes.TrimSuffix(message, []byte{0}) // some senders count it in
	if len(message) == 0 || len(message) > MaxNotice || bytes.IndexByte(message, 0) >= 0 {
		return Notice{}, false
	}
	for line := range strings.SplitSeq(string(message), "\n") {
		name, value, found := strings.Cut(line, "=")
		if !found {
			continue
		}
		switch name {
		case "READY":
			n.Ready = n.Ready || value == "1"
		case "STATUS":
			n.Status = strings.ToValidUTF8(value[:min(len(value), maxStatus)], "")
		case "ERRNO":
			if e, err := strconv.ParseUint(value, 10, 16); err == nil && e <= maxErrno {
				n.Errno = syscall.Errno(e)
			}
		case "MAINPID":
			if pid, err := strconv.ParseUint(value, 10, 31); err == nil {
				n.MainPID = int(pid)
			}
		}
	}
	return n, true
}
