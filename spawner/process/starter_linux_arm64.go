package process

import "encoding/binary"

const starterMachine = 183 // EM_AARCH64

// starterText is the starter's program; its number and its path follow it.
func starterText() []byte {
	var text []byte
	for _, instruction := range []uint32{
		0xaa1f03e0, // mov x0, xzr: PTRACE_TRACEME
		0xd2800ea8, // mov x8, 117: ptrace
		0xd4000001, // svc 0
		0x3100041f, // cmn w0, 1: -EPERM
		0x54000261, // b.ne end
		0xb24003e0, // mov x0, PR_SET_PDEATHSIG
		0xaa1f03e1, // mov x1, xzr
		0xd28014e8, // mov x8, 167: prctl
		0xd4000001, // svc 0
		0x350001c0, // cbnz w0, end
		0x18000200, // ldr w0, number
		0xb27f03e1, // mov x1, F_SETFD
		0xb24003e2, // mov x2, FD_CLOEXEC
		0xd2800328, // mov x8, 25: fcntl
		0xd4000001, // svc 0
		0x35000100, // cbnz w0, end
		0x10000160, // adr x0, path
		0x910023e1, // add x1, sp, 8: the arguments
		0xf94003e2, // ldr x2, [sp]: their count
		0x8b020c22, // add x2, x1, x2, lsl 3
		0x91002042, // add x2, x2, 8: the environment
		0xd2801ba8, // mov x8, 221: execve
		0xd4000001, // svc 0
		// end:
		0x4b0003e0, // neg w0, w0
		0xd2800bc8, // mov x8, 94: exit_group
		0xd4000001, // svc 0
	} {
		text = binary.LittleEndian.AppendUint32(text, instruction)
	}
	return text
}
