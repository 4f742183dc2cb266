package confine

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// errGroupV1 stands for all machines on which version 2 is not mounted.
var errGroupV1 = errors.New("no control group file system of version 2 is mounted at /sys/fs/cgroup or /sys/fs/cgroup/unified; version 1 is not supported")

// cgroupRoot opens the root of the mounted version 2 hierarchy, which stands
// beside version 1 on some machines.
func cgroupRoot() (int, string, error) {
	for _, at := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		fd, err := unix.Open(at, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		var st unix.Statfs_t
		if unix.Fstatfs(fd, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC {
			return fd, at, nil
		}
		_ = unix.Close(fd) // a directory: nothing can be lost
	}
	return -1, "", errGroupV1
}

// openGroup opens the list of processes of a group that exists.
func openGroup(group string) (int, error) {
	root, at, err := cgroupRoot()
	if err != nil {
		return -1, err
	}
	defer unix.Close(root)
	name := strings.TrimPrefix(group, "/") + "/cgroup.procs"
	fd, err := unix.Openat2(root, strings.TrimPrefix(name, "/"), &unix.OpenHow{
		Flags: unix.O_WRONLY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	})
	if err != nil {
		return -1, fmt.Errorf("open %s/%s: %w", at, name, err)
	}
	return fd, nil
}
