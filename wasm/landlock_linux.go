//go:build amd64 || arm64

package wasm

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// denyFiles gives up new privileges and, where the kernel has Landlock, every
// access to files and TCP ports that its version knows. In a program with C code
// the runtime cannot reach all threads; then Landlock holds for the guest's
// own thread, and the filter of system calls, which holds for all, is what stops
// the others.
func denyFiles() error {
	if err := onThreads(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1); err != nil {
		return fmt.Errorf("give up new privileges: %w", err)
	}
	version, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno == unix.ENOSYS || errno == unix.EOPNOTSUPP {
		return nil
	}
	if errno != 0 {
		return fmt.Errorf("ask for Landlock: %w", errno)
	}
	rules := rulesOf(int(version))
	ruleset, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&rules)), unsafe.Sizeof(rules), 0)
	if errno != 0 {
		return fmt.Errorf("create Landlock rules: %w", errno)
	}
	fd := int(ruleset)
	defer unix.Close(fd)
	if err := onThreads(unix.SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0); err != nil {
		return fmt.Errorf("apply Landlock rules: %w", err)
	}
	return nil
}

// rulesOf handles, and so denies, all that a version of Landlock can.
func rulesOf(version int) unix.LandlockRulesetAttr {
	files := uint64(unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1 - 1)
	if version >= 2 {
		files |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if version >= 3 {
		files |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	rules := unix.LandlockRulesetAttr{Handled_access_fs: files}
	if version >= 4 {
		rules.Handled_access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if version >= 5 {
		rules.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	return rules
}

// onThreads makes a system call on every thread, or on this one where the
// runtime cannot do that.
func onThreads(number, a, b uintptr) error {
	_, _, errno := syscall.AllThreadsSyscall6(number, a, b, 0, 0, 0, 0)
	if errors.Is(errno, syscall.ENOTSUP) {
		_, _, errno = syscall.RawSyscall6(number, a, b, 0, 0, 0, 0)
	}
	if errno != 0 {
		return errno
	}
	return nil
}
