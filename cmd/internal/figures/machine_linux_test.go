package figures

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// load is the mean number of processes that wanted to run in the last minute.
func load(t *testing.T) string {
	data, err := os.ReadFile("/proc/loadavg")
	require.NoError(t, err)
	minute, _, _ := strings.Cut(string(data), " ")
	return minute
}

// machine says what was measured on, in the words that others can compare with.
func machine(t *testing.T, dir string) string {
	var u unix.Utsname
	require.NoError(t, unix.Uname(&u))
	release, _, _ := strings.Cut(unix.ByteSliceToString(u.Release[:]), "-")
	var fs unix.Statfs_t
	require.NoError(t, unix.Statfs(dir, &fs))
	return fmt.Sprintf("%d cores of %s, Linux %s, %s, %s", runtime.NumCPU(), processor(t), release, fileSystem(fs.Type), runtime.Version())
}

func processor(t *testing.T) string {
	f, err := os.Open("/proc/cpuinfo")
	require.NoError(t, err)
	defer f.Close()
	facts := map[string]string{}
	for s := bufio.NewScanner(f); s.Scan(); {
		name, value, _ := strings.Cut(s.Text(), ":")
		facts[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	model := facts["model name"]
	if model == "" {
		model = "a processor (" + runtime.GOARCH + ")"
	}
	if facts["model"] != "" {
		model += fmt.Sprintf(" (family %s, model %s", facts["cpu family"], facts["model"])
		if strings.Contains(" "+facts["flags"]+" ", " hypervisor ") {
			model += ", virtual"
		}
		model += ")"
	}
	return model
}

// fileSystem names a file system by its magic number (statfs(2)).
func fileSystem(magic int64) string {
	for number, name := range map[int64]string{
		unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs",
		unix.TMPFS_MAGIC: "tmpfs", unix.OVERLAYFS_SUPER_MAGIC: "overlayfs",
	} {
		if magic == number {
			return name
		}
	}
	return fmt.Sprintf("file system %#x", magic)
}
