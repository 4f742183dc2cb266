package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/process"
)

// checkKernel tries each kernel feature that launches use.
func (a *app) checkKernel(context.Context) []diagnosis {
	return []diagnosis{
		kernelVersion(), kernelPidfd(), kernelPeerPidfd(), kernelStop(), kernelLeases(), kernelMemoryFiles(),
		kernelLandlock(), kernelSeccomp(), kernelCgroup(), kernelProc(),
	}
}

func kernelRelease() (text string, major, minor int) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return err.Error(), 0, 0
	}
	text = unix.ByteSliceToString(u.Release[:])
	parts := strings.SplitN(text, ".", 3)
	if len(parts) > 1 {
		major, _ = strconv.Atoi(parts[0])
		minor, _ = strconv.Atoi(parts[1])
	}
	return text, major, minor
}

func kernelVersion() diagnosis {
	text, major, minor := kernelRelease()
	looked := "Linux " + text
	switch {
	case major < 5 || major == 5 && minor < 9:
		return diagnosis{"kernel", doctorFail, looked, "launches need Linux 5.9 or later", "Boot a newer kernel."}
	case major < 6 || major == 6 && minor < 13:
		return ok("kernel", looked, "its change times move once a tick: a file younger than a second is hashed again before it may run")
	}
	return ok("kernel", looked, "its change times tell two writes of one tick apart")
}

func kernelPidfd() diagnosis {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return diagnosis{"process handles", doctorFail, "pidfd_open", err.Error() + "; without it a backend cannot be told from a process that got its number",
			"Use Linux 5.9 or later, and allow pidfd_open in the container's system call filter."}
	}
	_ = unix.Close(fd) // nothing was written to it
	return ok("process handles", "pidfd_open", "a backend is held by a handle, not by a number that may be used again")
}

// soPeerPidfd is SO_PEERPIDFD of Linux 6.5.
const soPeerPidfd = 0x4d

func kernelPeerPidfd() diagnosis {
	const check, looked = "peer handles", "SO_PEERPIDFD on a socket pair"
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fails(check, looked, err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	fd, err := unix.GetsockoptInt(pair[0], unix.SOL_SOCKET, soPeerPidfd)
	if err != nil {
		return diagnosis{check, doctorWarn, looked, err.Error() + "; who answers on an endpoint is compared by process number alone, while the process is held",
			"Linux 6.5 or later closes the remaining gap."}
	}
	_ = unix.Close(fd) // nothing was written to it
	return ok(check, looked, "who answers on an endpoint is compared by handle")
}

func kernelStop() diagnosis {
	if _, err := process.NewStopper(); err != nil {
		return diagnosis{"stop at exec", doctorFail, "a child of this program, traced", err.Error() + "; bindings verified and sealed cannot be had, which the embedded policy demands",
			"Allow tracing of own children: kernel.yama.ptrace_scope below 3, and ptrace in the container's system call filter. Or set config.defaults.binding.minimum to leased, knowing what that gives up."}
	}
	return ok("stop at exec", "a child of this program, traced", "a backend is compared with the measured file before its first instruction")
}

func kernelLeases() diagnosis {
	const check, looked = "file leases", "/proc/sys/fs/leases-enable"
	data, err := os.ReadFile(looked)
	if err != nil {
		return fails(check, looked, err)
	}
	if strings.TrimSpace(string(data)) != "1" {
		return diagnosis{check, doctorWarn, looked, "leases are switched off; a writer that works through a mapping is not noticed while a file is measured", "sysctl -w fs.leases-enable=1"}
	}
	return ok(check, looked, "whoever opens a measured file for writing before it runs is noticed")
}

func kernelMemoryFiles() diagnosis {
	const check, looked = "memory files", "memfd_create with MFD_EXEC"
	fd, err := unix.MemfdCreate("spawnward-doctor", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3 all of them can be executed
		fd, err = unix.MemfdCreate("spawnward-doctor", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return diagnosis{check, doctorFail, looked, err.Error() + "; programs cannot be started from a sealed copy", "Set vm.memfd_noexec below 2 (sysctl), in this pid namespace too."}
	}
	_ = unix.Close(fd) // nothing was written to it
	return ok(check, looked, "a program can be started from a sealed copy in memory")
}

func kernelLandlock() diagnosis {
	const check, looked = "Landlock", "landlock_create_ruleset"
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return diagnosis{check, doctorWarn, looked, errno.Error() + "; a policy that confines file access denies its launches, and hooks are held by the system call filter alone",
			"Use a kernel with CONFIG_SECURITY_LANDLOCK, and name landlock in the kernel's lsm= setting."}
	}
	return ok(check, looked, fmt.Sprintf("version %d: file access can be confined", abi))
}

func kernelSeccomp() diagnosis {
	const check, looked = "system call filters", "/proc/sys/kernel/seccomp/actions_avail"
	data, err := os.ReadFile(looked)
	if err == nil && !slices.Contains(strings.Fields(string(data)), "kill_process") {
		err = errors.New("it does not name kill_process")
	}
	if err != nil {
		return diagnosis{check, doctorWarn, looked, err.Error() + "; hooks cannot run, because their worker could not be confined", "Use a kernel with CONFIG_SECCOMP_FILTER."}
	}
	return ok(check, looked, "hooks run under a filter of system calls")
}

func kernelCgroup() diagnosis {
	const check, looked = "cgroups", "/proc/self/cgroup"
	data, err := os.ReadFile(looked)
	if err != nil {
		return diagnosis{check, doctorWarn, looked, err.Error() + "; a policy that places backends into a cgroup denies its launches", "Mount the cgroup v2 hierarchy."}
	}
	for line := range strings.Lines(string(data)) {
		path, found := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !found {
			continue
		}
		if _, err := os.Stat("/sys/fs/cgroup/cgroup.procs"); errors.Is(err, fs.ErrNotExist) {
			break
		}
		return ok(check, looked, "version 2, at "+path+"; confine.cgroup can place backends below a delegated one")
	}
	return diagnosis{check, doctorWarn, looked, "there is no version 2 hierarchy at /sys/fs/cgroup; a policy that places backends into a cgroup denies its launches", "Mount the cgroup v2 hierarchy."}
}

func kernelProc() diagnosis {
	const check, looked = "/proc", "/proc/self/stat"
	if _, err := process.ReadStat(os.Getpid()); err != nil {
		return diagnosis{check, doctorFail, looked, err.Error(), "Mount /proc."}
	}
	return ok(check, looked, "processes can be looked at")
}
