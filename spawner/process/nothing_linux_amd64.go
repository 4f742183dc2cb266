package process

const nothingMachine = 62 // EM_X86_64

// xor edi, edi; mov eax, exit_group; syscall
const nothingText = "\x31\xff\xb8\xe7\x00\x00\x00\x0f\x05"
