package scripted

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// see looks at this process. The descriptors come first, before looking opens
// any.
func see() (*Report, error) {
	fds, err := descriptors()
	if err != nil {
		return nil, err
	}
	r := &Report{
		Args: os.Args, Environ: os.Environ(), PID: os.Getpid(), PPID: os.Getppid(),
		Group: unix.Getpgrp(), Descriptors: fds, Status: map[string]string{},
	}
	// Asked of the kernel: the language's own way may believe PWD.
	if r.Dir, err = os.Readlink("/proc/self/cwd"); err != nil {
		return nil, err
	}
	if r.Exe, err = os.Readlink("/proc/self/exe"); err != nil {
		return nil, err
	}
	if r.Session, err = unix.Getsid(0); err != nil {
		return nil, err
	}
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		return nil, err
	}
	r.Comm = strings.TrimSuffix(string(comm), "\n")
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		r.Status[name] = strings.TrimSpace(value)
	}
	r.TTY, err = terminal()
	return r, err
}

// terminal reads field 7 of stat; the name before it may hold anything.
func terminal() (int, error) {
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')'):]), " ")
	fields := strings.Fields(rest)
	if len(fields) < 5 {
		return 0, fmt.Errorf("/proc/self/stat has too few fields: %q", stat)
	}
	return strconv.Atoi(fields[4])
}

// descriptors lists them without the poller that opening a file by the language's
// own means would create.
func descriptors() (map[int]string, error) {
	dir, err := unix.Open("/proc/self/fd", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(dir)
	open := map[int]string{}
	buf := make([]byte, 8192)
	for {
		n, err := unix.ReadDirent(dir, buf)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return open, nil
		}
		_, _, names := unix.ParseDirent(buf[:n], -1, nil)
		for _, name := range names {
			fd, err := strconv.Atoi(name)
			if err != nil || fd == dir {
				continue
			}
			target, err := os.Readlink("/proc/self/fd/" + name)
			if err != nil {
				return nil, err
			}
			open[fd] = target
		}
	}
}

// print writes the report so that a reader sees all of it or nothing.
func (p *player) print() error {
	if p.out == "" {
		return errors.New("--out=FILE says where to print")
	}
	if p.reportErr != nil {
		return p.reportErr
	}
	data, err := json.MarshalIndent(p.report, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(p.out+".part", data, 0o600); err != nil {
		return err
	}
	return os.Rename(p.out+".part", p.out)
}
