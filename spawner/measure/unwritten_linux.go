package measure

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/fswalk"
)

// Unwritten fails when the file that is to be executed at once by this very
// process has been written since it was measured, or could be unnoticed. A writer
// that comes after it waits for the lease, which ends in the exec, when the kernel
// denies writers.
func (t *Target) Unwritten(b admission.Binding) error {
	if err := t.Offers(b); err != nil {
		return err
	}
	switch b {
	case admission.Sealed:
		return nil
	case admission.Leased:
	default:
		return errors.New("a process that executes a file itself cannot be held at binding " + string(b))
	}
	var now unix.Stat_t
	if err := unix.Fstat(int(t.File.Fd()), &now); err != nil {
		return fmt.Errorf("look at the measured file: %w", err)
	}
	f := &t.Binary
	if now.Size != f.Size || now.Mtim.Nano() != f.MtimeNS || now.Ctim.Nano() != f.CtimeNS {
		return fmt.Errorf("%w: %s was changed after it was measured", fswalk.ErrChanged, f.Path)
	}
	return t.intact()
}
