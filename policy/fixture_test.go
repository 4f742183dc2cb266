package policy

import (
	"time"

	"github.com/spawnward/spawnward/spawner/admission"
)

// goodInput is a launch that the embedded library allows.
func goodInput() *admission.Input {
	in := knownGood()
	in.Caller = admission.Caller{UID: 1000, GID: 1000, Groups: []int64{1000, 27}, User: "app"}
	return in
}

// patience is the deadline of tests that are about verdicts: those hold however
// busy the machine is. The deadline has a test of its own.
const patience = time.Minute
