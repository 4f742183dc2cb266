// Package scripted is a backend that plays every part, good and bad, that a
// launcher must cope with. The conformance suite starts it through the hidden
// sub-command of the program, and tests through their own test binary.
//
// A call is the name of a part and options:
//
//	good                  answers probes; echoes what else arrives
//	late:DURATION         the same, after a while
//	never                 does not listen
//	exit:STATUS           ends at once, with a line on standard error
//	die-during-probe      ends with status 9 when it has read the question
//	wrong-…, …            answers with one thing wrong; see [Parts]
//	fork-exit             a copy serves, the launched process ends
//	listen-daemonise      listens, hands the socket to a copy, ends
//	listen-daemonise:DURATION  ends that much later
//	double-fork           a copy of a copy serves, in a session of its own
//	squat                 a copy holds the endpoint and claims to be its parent
//	leave-child           good, with a child left in the background
//	leave-child-session   the same, the child in a session of its own
//	ignore-term           good, but deaf to SIGTERM
//	print                 writes a [Report] to --out, then good
//	print-exit            writes it and ends
//	peer-good             listens and discards, knows no probe
//	peer-worker           the same, but a forked worker takes the connections
//	peer-daemonise        the same as listen-daemonise, knows no probe
//
//	notify                tells the readiness socket that it is ready, listens on nothing
//	notify-late:DURATION  the same, after a while
//	notify-errno:NUMBER   says that it cannot start, and ends
//	notify-flood          says so after two thousand status messages
//	notify-oversize       says so in a message that is too long
//	notify-mainpid        says so and that another process is the main one
//	notify-other          a copy says so
//	notify-barrier        says so when all before it was read
//	notify-listen         listens and discards, then says so
//
//	--endpoint=PATH       listen here instead of where the broker said
//	--pids=FILE           every process of the part appends "ROLE PID" and a
//	                      line end to the file
//	--out=FILE            where print writes
//
// Every process of it ends by itself, a launched one after [Lifetime] and a copy
// after [CopyLifetime], so that a broken test leaves nothing for ever. SIGTERM
// ends it in order, with the socket removed. Linux only; elsewhere [Run] says so
// and returns 1.
package scripted

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// How long processes live when nobody ends them.
const (
	Lifetime     = 10 * time.Minute
	CopyLifetime = 60 * time.Second
)

// Exit statuses of [Run] besides those that a part chooses.
const (
	statusFailed = 1 // the part could not be played
	statusUsage  = 2
	statusDied   = 9 // die-during-probe
)

// Stdio is what a backend writes to.
type Stdio struct {
	Out, Err io.Writer
}

// call is a parsed command line.
type call struct {
	part, arg string // "late:5s" is part "late" with arg "5s"
	endpoint  string
	pids      string
	out       string
	// Of copies only.
	copied   bool
	listener bool // descriptor 3 is the listening socket
	claimPID int  // the pid to state, 0 for one's own
}

func parse(args []string) (call, error) {
	var c call
	if len(args) == 0 {
		return c, fmt.Errorf("which part? one of: %s", strings.Join(Parts(), " "))
	}
	c.part, c.arg, _ = strings.Cut(args[0], ":")
	for _, arg := range args[1:] {
		name, value, _ := strings.Cut(arg, "=")
		switch name {
		case "--endpoint":
			c.endpoint = value
		case "--pids":
			c.pids = value
		case "--out":
			c.out = value
		case "--copy":
			c.copied = true
		case "--listener":
			c.listener = true
		case "--claim-pid":
			if _, err := fmt.Sscanf(value, "%d", &c.claimPID); err != nil {
				return c, fmt.Errorf("%s: %w", arg, err)
			}
		default:
			return c, fmt.Errorf("unknown option %q", arg)
		}
	}
	if !slices.Contains(Parts(), c.part) && !(c.copied && isCopyPart(c.part)) {
		return c, fmt.Errorf("unknown part %q; one of: %s", c.part, strings.Join(Parts(), " "))
	}
	return c, nil
}

// Parts lists the names of all parts, sorted, without their arguments.
func Parts() []string {
	names := []string{
		"good", "late", "never", "exit", "fork-exit", "listen-daemonise", "double-fork", "squat", "leave-child",
		"leave-child-session", "ignore-term", "print", "print-exit", "peer-good", "peer-worker", "peer-daemonise",
		"notify", "notify-late", "notify-errno", "notify-flood", "notify-oversize", "notify-mainpid", "notify-other", "notify-barrier", "notify-listen",
	}
	for name := range twists() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Parts that only copies play.
const (
	copyServe   = "copy-serve"   // answer probes on a socket that may be inherited
	copyDiscard = "copy-discard" // accept and discard on the inherited socket
	copyFork    = "copy-fork"    // make another copy and end
	copyLinger  = "copy-linger"  // do nothing
	copyNotify  = "copy-notify"  // say READY=1 in its parent's place and end
)

func isCopyPart(name string) bool {
	return slices.Contains([]string{copyServe, copyDiscard, copyFork, copyLinger, copyNotify}, name)
}
