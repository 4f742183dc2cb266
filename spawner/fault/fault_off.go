//go:build !faults || !linux

package fault

// Enabled tells whether this is a build with faults.
const Enabled = false

// At marks a step; in this build it is nothing.
func At(step string) {}

// Mutant is false: nothing is broken in this build.
func Mutant(name string) bool { return false }
