package process

const starterMachine = 62 // EM_X86_64

// starterText is the starter's program; its number and its path follow it.
func starterText() []byte {
	return []byte{
		0x31, 0xff, // xor edi, edi: PTRACE_TRACEME
		0xb8, 101, 0, 0, 0, // mov eax, ptrace
		0x0f, 0x05, // syscall
		0x83, 0xf8, 0xff, // cmp eax, -EPERM
		0x75, 0x49, // jne end
		0xbf, 1, 0, 0, 0, // mov edi, PR_SET_PDEATHSIG
		0x31, 0xf6, // xor esi, esi
		0xb8, 157, 0, 0, 0, // mov eax, prctl
		0x0f, 0x05, // syscall
		0x85, 0xc0, // test eax, eax
		0x75, 0x37, // jnz end
		0x8b, 0x3d, 0x3c, 0, 0, 0, // mov edi, [rip+number]
		0xbe, 2, 0, 0, 0, // mov esi, F_SETFD
		0xba, 1, 0, 0, 0, // mov edx, FD_CLOEXEC
		0xb8, 72, 0, 0, 0, // mov eax, fcntl
		0x0f, 0x05, // syscall
		0x85, 0xc0, // test eax, eax
		0x75, 0x1c, // jnz end
		0x48, 0x8d, 0x3d, 0x24, 0, 0, 0, // lea rdi, [rip+path]
		0x48, 0x8d, 0x74, 0x24, 0x08, // lea rsi, [rsp+8]: the arguments
		0x48, 0x8b, 0x14, 0x24, // mov rdx, [rsp]: their count
		0x48, 0x8d, 0x54, 0xd4, 0x10, // lea rdx, [rsp+rdx*8+16]: the environment
		0xb8, 59, 0, 0, 0, // mov eax, execve
		0x0f, 0x05, // syscall
		// end:
		0xf7, 0xd8, // neg eax
		0x89, 0xc7, // mov edi, eax
		0xb8, 231, 0, 0, 0, // mov eax, exit_group
		0x0f, 0x05, // syscall
	}
}
