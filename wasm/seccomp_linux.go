//go:build amd64 || arm64

package wasm

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Offsets in struct seccomp_data; both systems are little-endian, so the low
// half of an argument comes first.
const (
	atNumber = 0
	atArch   = 4
	atArgs   = 16
)

// condition is on the low half of an argument: masked with mask it must be want.
// Without a mask nothing is asked.
type condition struct {
	argument   uint32
	mask, want uint32
}

// allowed is what Go's runtime, the C library's threads beside it, and the two
// pipes need: memory, threads, signals within this process, time, reading and
// writing. Nothing in it opens, starts or sends anything to somebody else.
func allowed(executable bool) map[uint32]condition {
	calls := map[uint32]condition{}
	for _, n := range []uint32{
		unix.SYS_READ, unix.SYS_WRITE, unix.SYS_CLOSE, unix.SYS_EPOLL_PWAIT, unix.SYS_EPOLL_CTL,
		unix.SYS_MUNMAP, unix.SYS_MADVISE, unix.SYS_MINCORE, unix.SYS_BRK,
		unix.SYS_FUTEX, unix.SYS_SCHED_YIELD, unix.SYS_SCHED_GETAFFINITY,
		unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_CLOCK_GETTIME, unix.SYS_RESTART_SYSCALL,
		unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGRETURN, unix.SYS_SIGALTSTACK,
		unix.SYS_SET_ROBUST_LIST, unix.SYS_RSEQ, unix.SYS_GETRANDOM,
		unix.SYS_GETPID, unix.SYS_GETTID, unix.SYS_EXIT, unix.SYS_EXIT_GROUP,
	} {
		calls[n] = condition{}
	}
	noExec := condition{argument: 2, mask: unix.PROT_EXEC}
	if executable {
		noExec = condition{}
	}
	calls[unix.SYS_MMAP] = noExec
	calls[unix.SYS_MPROTECT] = noExec
	calls[unix.SYS_CLONE] = condition{argument: 0, mask: unix.CLONE_THREAD, want: unix.CLONE_THREAD}
	calls[unix.SYS_TGKILL] = condition{argument: 0, mask: ^uint32(0), want: uint32(os.Getpid())}
	calls[unix.SYS_PRCTL] = condition{argument: 0, mask: ^uint32(0), want: unix.PR_SET_VMA} // names for memory
	return calls
}

// filter lets all threads make only the allowed calls; any other one kills the
// process. clone3 hides its flags from filters and is answered as by an old
// kernel, upon which clone is used.
func filter(executable bool) error {
	arch := uint32(unix.AUDIT_ARCH_X86_64)
	if runtime.GOARCH == "arm64" {
		arch = unix.AUDIT_ARCH_AARCH64
	}
	program := []unix.SockFilter{
		load(atArch), jump(arch, 1, 0), give(unix.SECCOMP_RET_KILL_PROCESS),
		load(atNumber), jump(unix.SYS_CLONE3, 0, 1), give(unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)),
	}
	for number, c := range allowed(executable) {
		if c.mask == 0 {
			program = append(program, jump(number, 0, 1), give(unix.SECCOMP_RET_ALLOW))
			continue
		}
		program = append(program,
			jump(number, 0, 5), load(atArgs+8*c.argument),
			unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: c.mask},
			jump(c.want, 0, 1), give(unix.SECCOMP_RET_ALLOW), give(unix.SECCOMP_RET_KILL_PROCESS))
	}
	program = append(program, give(unix.SECCOMP_RET_KILL_PROCESS))
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	failed, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(program)
	if errno != 0 {
		return fmt.Errorf("filter system calls: %w", errno)
	}
	if failed != 0 {
		return fmt.Errorf("filter system calls: thread %d could not be reached", failed)
	}
	return nil
}

func load(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

// jump passes over yes or no instructions, as the loaded word is k or not.
func jump(k uint32, yes, no uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: yes, Jf: no, K: k}
}

func give(action uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action}
}
