#include "textflag.h"

// func born(flags uintptr, pidfd *int32, c *child) (pid int)
//
// The child returns to no Go code and touches no stack: it has registers only.
// R12 is at the next call, R13 at the child, R14 holds the last result.
TEXT ·born(SB), NOSPLIT, $0-32
	MOVQ flags+0(FP), DI
	MOVQ pidfd+8(FP), DX
	MOVQ c+16(FP), R13
	MOVQ 0(R13), R12
	XORL SI, SI
	XORL R10, R10
	XORL R8, R8
	XORL R14, R14
	MOVL $56, AX // clone
	SYSCALL
	TESTQ AX, AX
	JZ   next
	MOVQ AX, pid+24(FP)
	RET

next:
	MOVQ 0(R12), AX
	MOVQ 8(R12), DI
	MOVQ 16(R12), SI
	MOVQ 24(R12), DX
	MOVQ 32(R12), R10
	MOVQ 40(R12), R8
	MOVQ 48(R12), R9
	ANDQ 56(R12), R14
	ORQ  R14, DI
	SYSCALL
	MOVQ AX, R14
	CMPQ AX, 64(R12)
	JLT  failed
	CMPQ AX, 72(R12)
	JGT  failed
	ADDQ $80, R12
	JMP  next

failed:
	MOVQ R12, 8(R13)
	MOVQ AX, 16(R13)
	MOVL $1, DI
	MOVL $231, AX // exit_group
	SYSCALL
	INT  $3
