package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Stat is what the kernel tells of a process in /proc/pid/stat (proc(5)).
type Stat struct {
	PID, PPID, Group, Session int
	State                     byte
	// StartTicks is the start time in clock ticks since boot; with the pid and
	// the boot id it names a process.
	StartTicks uint64
}

// ReadStat reads /proc/pid/stat; a process that is gone is [ErrGone].
func ReadStat(pid int) (Stat, error) {
	data, err := readSmall("/proc/" + strconv.Itoa(pid) + "/stat")
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) {
		return Stat{}, fmt.Errorf("%w: no process has the number %d", ErrGone, pid)
	}
	if err != nil {
		return Stat{}, err
	}
	return parseStat(pid, data)
}

// readSmall reads a file of the kernel that it gives in one piece.
func readSmall(path string) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	data := make([]byte, 1024) // a name has 15 bytes, the numbers beside it twenty digits at most
	for {
		n, err := unix.Read(fd, data)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, &os.PathError{Op: "read", Path: path, Err: err}
		}
		return data[:n], nil
	}
}

// parseStat looks for the last ')': a process's name may hold anything.
func parseStat(pid int, data []byte) (Stat, error) {
	end := bytes.LastIndexByte(data, ')')
	if end < 0 {
		return Stat{}, fmt.Errorf("/proc/%d/stat has no name", pid)
	}
	f := bytes.Fields(data[end+1:])
	if len(f) < 20 {
		return Stat{}, fmt.Errorf("/proc/%d/stat has %d fields after the name", pid, len(f))
	}
	if c := f[0][0]; len(f[0]) != 1 || (c|0x20) < 'a' || (c|0x20) > 'z' {
		return Stat{}, fmt.Errorf("/proc/%d/stat: the state %q is no letter", pid, f[0])
	}
	st := Stat{PID: pid, State: f[0][0]}
	for i, to := range map[int]*int{1: &st.PPID, 2: &st.Group, 3: &st.Session} {
		n, err := strconv.Atoi(string(f[i]))
		if err != nil {
			return Stat{}, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
		*to = n
	}
	ticks, err := strconv.ParseUint(string(f[19]), 10, 64)
	if err != nil {
		return Stat{}, fmt.Errorf("/proc/%d/stat: %w", pid, err)
	}
	st.StartTicks = ticks
	return st, nil
}

// All lists the processes that can be seen.
func All() ([]Stat, error) {
	names, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var out []Stat
	for _, n := range names {
		pid, err := strconv.Atoi(n.Name())
		if err != nil {
			continue
		}
		st, err := ReadStat(pid)
		switch {
		case err == nil:
			out = append(out, st)
		case !errors.Is(err, ErrGone) && !errors.Is(err, os.ErrPermission):
			return nil, err
		}
	}
	return out, nil
}
