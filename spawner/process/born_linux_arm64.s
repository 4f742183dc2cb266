#include "textflag.h"

// func born(flags uintptr, pidfd *int32, c *child) (pid int)
//
// The child returns to no Go code and touches no stack: it has registers only.
// R21 is at the next call, R20 at the child, R23 holds the last result.
TEXT ·born(SB), NOSPLIT, $0-32
	MOVD flags+0(FP), R0
	MOVD ZR, R1
	MOVD pidfd+8(FP), R2
	MOVD ZR, R3
	MOVD ZR, R4
	MOVD c+16(FP), R20
	MOVD 0(R20), R21
	MOVD ZR, R23
	MOVD $220, R8 // clone
	SVC
	CBZ  R0, next
	MOVD R0, pid+24(FP)
	RET

next:
	MOVD 0(R21), R8
	MOVD 8(R21), R0
	MOVD 16(R21), R1
	MOVD 24(R21), R2
	MOVD 32(R21), R3
	MOVD 40(R21), R4
	MOVD 48(R21), R5
	MOVD 56(R21), R22
	AND  R22, R23
	ORR  R23, R0
	SVC
	MOVD R0, R23
	MOVD 64(R21), R22
	CMP  R22, R0
	BLT  failed
	MOVD 72(R21), R22
	CMP  R22, R0
	BGT  failed
	ADD  $80, R21
	B    next

failed:
	MOVD R21, 8(R20)
	MOVD R0, 16(R20)
	MOVD $1, R0
	MOVD $94, R8 // exit_group
	SVC
	BRK
