//go:build linux && (amd64 || arm64)

package process

// born makes a child with clone(2) that shares this process's memory until its
// exec and does c.calls, one after the other, until one of them fails or becomes
// another program. It returns the child's number, or the negated error's.
// The calling thread must have every signal blocked: a handler would run on a
// stack that the child shares with its parent.
func born(flags uintptr, pidfd *int32, c *child) (pid int)

const canBear = true
