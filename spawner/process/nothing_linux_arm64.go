package process

const nothingMachine = 183 // EM_AARCH64

// mov x0, 0; mov x8, 94 (exit_group); svc 0
const nothingText = "\x00\x00\x80\xd2\xc8\x0b\x80\xd2\x01\x00\x00\xd4"
