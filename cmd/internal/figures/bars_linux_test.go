package figures

import (
	"fmt"
	"time"
)

// unit says in what a bar is counted.
type unit int

const (
	inTime unit = iota // nanoseconds
	inMiB
	inTimes // a ratio
)

// bar is one promise of the design and what a run measured of it.
type bar struct {
	id, what string
	limit    float64
	in       unit
	atLeast  bool // else at most

	measured float64
	control  float64 // in the same unit; a time, when the measured is a ratio of times; 0 when there is none
	beside   string  // what the control is; "" is the C program
	known    bool
}

// reference is what the control took where the bars were set: 0.4 to 0.6 ms.
const reference = float64(500 * time.Microsecond)

// bars are the promises, in the order of the design.
func bars() []bar {
	const us, ms = float64(time.Microsecond), float64(time.Millisecond)
	return []bar{
		{id: "allow", what: "decision, whole library, input built: allow", limit: 75 * us},
		{id: "allow-site", what: "… with a small site", limit: 90 * us},
		{id: "deny-1", what: "… deny with one finding", limit: 100 * us},
		{id: "deny-2", what: "… deny with two findings", limit: 100 * us},
		{id: "deny-8", what: "… deny with eight findings", limit: 200 * us},
		{id: "listed-index", what: "… allow, 100 000 digests in an index to 100", limit: 1.1, in: inTimes},
		{id: "listed-data", what: "… allow, 100 000 digests in JSON to 100", limit: 1.1, in: inTimes},
		{id: "ready", what: "library ready in a cold process", limit: ms},
		{id: "check", what: "`check`, cold, start to exit", limit: 7 * ms},
		{id: "check-site", what: "… what a small site adds", limit: ms},
		{id: "check-listed", what: "… what 100 000 digests add, listed in an index", limit: ms},
		{id: "launch", what: "`launch`, cold, to the verified handle, digest cached, no settle", limit: 10 * ms},
		{id: "release", what: "decision to released child, digest cached, log line synced", limit: 400 * us},
		{id: "hash", what: "hashing a file of 64 MiB, to `openssl speed -evp sha256` of 16 KiB, which counts time in user mode", limit: 0.92, in: inTimes, atLeast: true},
		{id: "plugin", what: "whole launch of an 18 MB backend, digest cached, probe peer, to go-plugin with checksum", limit: 0.4, in: inTimes},
		{id: "memory", what: "resident memory of the command, binaries of up to 2 GiB", limit: 24, in: inMiB},
		{id: "size", what: "stripped command", limit: 25, in: inMiB},
		{id: "hook", what: "hook run, process included: a module from C", limit: 12 * ms},
		{id: "hook-go", what: "… a module from Go, interpreted", limit: 250 * ms},
		{id: "hook-go-compiled", what: "… a module from Go, compiled, from a warm cache", limit: 90 * ms},
	}
}

func (b *bar) show(v float64) string {
	switch b.in {
	case inMiB:
		return fmt.Sprintf("%.2f MiB", v)
	case inTimes:
		return fmt.Sprintf("%.2f ×", v)
	}
	return spell(time.Duration(v))
}

func (b *bar) bound() string {
	if b.in == inTime {
		return "≤ " + whole(time.Duration(b.limit))
	}
	if b.atLeast {
		return "≥ " + b.show(b.limit)
	}
	return "≤ " + b.show(b.limit)
}

// whole writes a bar's time, which has no fraction.
func whole(d time.Duration) string {
	if d >= time.Millisecond {
		return fmt.Sprint(d.Milliseconds(), " ms")
	}
	return fmt.Sprint(d.Microseconds(), " µs")
}

func (b *bar) met() bool { return b.within(b.measured) }

func (b *bar) within(v float64) bool {
	if b.atLeast {
		return v >= b.limit
	}
	return v <= b.limit
}

// normal is what a time would be where the control takes as long as it did where
// the bars were set.
func (b *bar) normal() float64 { return b.measured * reference / b.control }

func (b *bar) verdict() string {
	switch {
	case b.met():
		return "met"
	case !b.byC():
		return "**missed**"
	case b.within(b.normal()):
		return fmt.Sprintf("met at a control of 0.5 ms: %s", spell(time.Duration(b.normal())))
	}
	return fmt.Sprintf("**missed**; at a control of 0.5 ms: %s", spell(time.Duration(b.normal())))
}

// byC tells whether the row is a time beside the C program.
func (b *bar) byC() bool { return b.in == inTime && b.control > 0 }

func (b *bar) row() []string {
	control, ratio := "–", "–"
	if b.byC() {
		control, ratio = spell(time.Duration(b.control)), times(b.measured, b.control)
	} else if b.beside != "" {
		control = b.beside
	}
	return []string{b.what, b.bound(), b.show(b.measured), control, ratio, b.verdict()}
}
