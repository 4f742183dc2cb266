package process

import (
	"fmt"

	"golang.org/x/sys/unix"
)

const canInject = true

// clearDeathSignal makes the stopped child call prctl(PR_SET_PDEATHSIG, 0),
// which nobody else can do for it.
func (t tracee) clearDeathSignal() error {
	var before unix.PtraceRegs
	if err := unix.PtraceGetRegs(int(t), &before); err != nil {
		return unavailable("read the child's registers", err)
	}
	r, instruction := before, []byte{0x0f, 0x05} // syscall
	r.Rax, r.Rdi, r.Rsi = unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, 0
	const cs32, prctl32 = 0x23, 172
	if r.Cs == cs32 { // a 32-bit program
		instruction = []byte{0xcd, 0x80} // int 0x80
		r.Rax, r.Rbx, r.Rcx = prctl32, unix.PR_SET_PDEATHSIG, 0
	}
	r.Orig_rax = ^uint64(0) // the exec is over and must not be started again
	if err := t.syscall(uintptr(before.Rip), instruction, func() error { return unix.PtraceSetRegs(int(t), &r) }); err != nil {
		return err
	}
	if err := unix.PtraceGetRegs(int(t), &r); err != nil {
		return unavailable("read the child's registers", err)
	}
	if r.Rax != 0 {
		return unavailable("clear the child's death signal", fmt.Errorf("prctl returned %d", int32(r.Rax)))
	}
	if err := unix.PtraceSetRegs(int(t), &before); err != nil {
		return unavailable("restore the child's registers", err)
	}
	return nil
}
