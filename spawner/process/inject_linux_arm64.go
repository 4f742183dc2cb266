package process

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

const canInject = true

// ntPrstatus is the set of general registers (linux/elf.h).
const ntPrstatus = 1

// clearDeathSignal makes the stopped child call prctl(PR_SET_PDEATHSIG, 0),
// which nobody else can do for it.
func (t tracee) clearDeathSignal() error {
	var before unix.PtraceRegsArm64
	if err := unix.PtraceGetRegSetArm64(int(t), ntPrstatus, &before); err != nil {
		return unavailable("read the child's registers", err)
	}
	if before.Pc == 0 { // the register set of a 32-bit program is shorter
		return unavailable("read the child's registers", fmt.Errorf("a 32-bit program: %w", errors.ErrUnsupported))
	}
	r := before
	r.Regs[8], r.Regs[0], r.Regs[1] = unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, 0
	svc := []byte{0x01, 0x00, 0x00, 0xd4}
	if err := t.syscall(uintptr(before.Pc), svc, func() error { return unix.PtraceSetRegSetArm64(int(t), ntPrstatus, &r) }); err != nil {
		return err
	}
	if err := unix.PtraceGetRegSetArm64(int(t), ntPrstatus, &r); err != nil {
		return unavailable("read the child's registers", err)
	}
	if r.Regs[0] != 0 {
		return unavailable("clear the child's death signal", fmt.Errorf("prctl returned %d", int32(r.Regs[0])))
	}
	if err := unix.PtraceSetRegSetArm64(int(t), ntPrstatus, &before); err != nil {
		return unavailable("restore the child's registers", err)
	}
	return nil
}
