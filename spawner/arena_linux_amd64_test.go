package spawner_test

import "debug/elf"

// programText makes the file whose name stands behind it, and serves the socket
// that is its argument.
func programText() (machine uint64, text []byte) {
	return uint64(elf.EM_X86_64), []byte{
		0x48, 0x8d, 0x3d, 0x82, 0, 0, 0, // lea rdi, [rip+mark]
		0xbe, 0x41, 0, 0, 0, // mov esi, O_WRONLY|O_CREAT
		0xba, 0x80, 1, 0, 0, // mov edx, 0600
		0xb8, 2, 0, 0, 0, // mov eax, open
		0x0f, 0x05, // syscall
		0x48, 0x8b, 0x74, 0x24, 0x10, // mov rsi, [rsp+16]: the argument
		0x48, 0x85, 0xf6, // test rsi, rsi
		0x74, 0x5e, // je end
		0x49, 0x89, 0xf4, // mov r12, rsi
		0xbf, 1, 0, 0, 0, // mov edi, AF_UNIX
		0xbe, 1, 0, 0, 0, // mov esi, SOCK_STREAM
		0x31, 0xd2, // xor edx, edx
		0xb8, 41, 0, 0, 0, // mov eax, socket
		0x0f, 0x05, // syscall
		0x41, 0x89, 0xc5, // mov r13d, eax
		0x48, 0x81, 0xec, 0x80, 0, 0, 0, // sub rsp, 128
		0x66, 0xc7, 0x04, 0x24, 1, 0, // mov word [rsp], AF_UNIX
		0x48, 0x8d, 0x7c, 0x24, 0x02, // lea rdi, [rsp+2]
		0x4c, 0x89, 0xe6, // mov rsi, r12
		// copy:
		0xac,       // lodsb
		0xaa,       // stosb
		0x84, 0xc0, // test al, al
		0x75, 0xfa, // jne copy
		0x44, 0x89, 0xef, // mov edi, r13d
		0x48, 0x89, 0xe6, // mov rsi, rsp
		0xba, 110, 0, 0, 0, // mov edx, 110
		0xb8, 49, 0, 0, 0, // mov eax, bind
		0x0f, 0x05, // syscall
		0x44, 0x89, 0xef, // mov edi, r13d
		0xbe, 8, 0, 0, 0, // mov esi, 8
		0xb8, 50, 0, 0, 0, // mov eax, listen
		0x0f, 0x05, // syscall
		// again:
		0xb8, 34, 0, 0, 0, // mov eax, pause
		0x0f, 0x05, // syscall
		0xeb, 0xf7, // jmp again
		// end:
		0x31, 0xff, // xor edi, edi
		0xb8, 60, 0, 0, 0, // mov eax, exit
		0x0f, 0x05, // syscall
	}
}
