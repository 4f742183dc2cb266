//go:build amd64 || arm64

package wasm

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// workerMemory is what a worker may map beyond what Go reserves at start:
	// for the job, the compiled module, and the guest's memory while it grows.
	workerMemory = 768 << 20
	// collectAt is when the worker begins to collect garbage.
	collectAt = 192 << 20
)

// RunWorker is the first call of a main function. In a worker it does the
// worker's task and ends the process; otherwise it returns at once, with what
// [Options] needs. It trusts nothing but that it is called before anything
// else: whoever starts a program as a worker can only make it run a hook.
func RunWorker() Worker {
	if len(os.Args) == 1 && os.Args[0] == workerName {
		os.Exit(work())
	}
	return Worker{path: "/proc/self/exe"}
}

// work reads the job, gives up everything else, and only then looks at the
// module.
func work() int {
	runtime.LockOSThread()
	in, out := os.NewFile(0, "job"), os.NewFile(1, "answer")
	j, err := decodeJob(in)
	if err != nil {
		return 2 // nobody who knows how to ask is listening
	}
	if _, err := io.Copy(out, do(j).encode()); err != nil {
		return 1
	}
	return 0
}

func do(j job) answer {
	if err := restrict(j); err != nil {
		return failed(unready, err)
	}
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(collectAt)
	return run(context.Background(), j)
}

// restrict takes from this process what the guest must not have, the means to
// restrict itself last.
func restrict(j job) error {
	// A fixed number stops the runtime from asking the system for it later.
	runtime.GOMAXPROCS(2)
	// The event loop needs descriptors, which cannot be had later.
	<-time.NewTimer(time.Nanosecond).C
	if err := closeInherited(); err != nil {
		return fmt.Errorf("close descriptors: %w", err)
	}
	size, err := mapped()
	if err != nil {
		return err
	}
	if err := denyFiles(); err != nil {
		return err
	}
	// Its memory holds the environment of a launch: no core file, which a limit of 0
	// does not keep from a program that collects them, and no debugger.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid dumps: %w", err)
	}
	cpu := uint64(j.seconds) + 1
	for _, l := range []struct {
		what  int
		value uint64
	}{
		{unix.RLIMIT_AS, size + workerMemory},
		{unix.RLIMIT_CPU, cpu},
		{unix.RLIMIT_FSIZE, 0},
		{unix.RLIMIT_CORE, 0},
		{unix.RLIMIT_NOFILE, 0},
	} {
		if err := lower(l.what, l.value); err != nil {
			return fmt.Errorf("set limit %d: %w", l.what, err)
		}
	}
	return filter(j.engine != interpret)
}

// lower sets a limit for good. One that the launcher was given and that is lower
// already stays: only root may raise it.
func lower(what int, value uint64) error {
	var had unix.Rlimit
	if err := unix.Getrlimit(what, &had); err != nil {
		return err
	}
	value = min(value, had.Max)
	return unix.Setrlimit(what, &unix.Rlimit{Cur: value, Max: value})
}

// closeInherited closes what a careless host left open for its children, and the
// runtime's view of its control group. The event loop's own two stay: it dies
// without them.
func closeInherited() error {
	const dir = "/proc/self/fd/"
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= 2 {
			continue
		}
		target, err := os.Readlink(dir + e.Name())
		if err != nil || target == "anon_inode:[eventpoll]" || target == "anon_inode:[eventfd]" {
			continue // the directory that was read is closed by now
		}
		if err := unix.Close(fd); err != nil {
			return err
		}
	}
	return nil
}

// mapped is the size of this process's address space, most of which Go only
// reserves.
func mapped() (uint64, error) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	first, _, _ := bytes.Cut(text, []byte(" "))
	pages, err := strconv.ParseUint(string(first), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read /proc/self/statm: %w", err)
	}
	return pages * uint64(os.Getpagesize()), nil
}
