package spawner

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/state"
)

// runtimeVariable names the directory of a user's sockets.
const runtimeVariable = "XDG_RUNTIME_DIR"

func kernelRelease() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

func pidNamespace() (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &st); err != nil {
		return 0, fmt.Errorf("look at the pid namespace: %w", err)
	}
	return st.Ino, nil
}

// tailSize is how much of standard error is shown, tailCapacity how much a
// backend can write in all: what follows is lost to it without an effect, as it
// would be on the null device.
const (
	tailSize     = 4 << 10
	tailCapacity = 1 << 20
)

// newTail makes an anonymous file that cannot grow: a pipe would block or kill a
// backend whose launcher is gone, and a file on disk would fill it.
func newTail() (*os.File, error) {
	fd, err := unix.MemfdCreate("stderr", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	err = unix.Ftruncate(fd, tailCapacity)
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_GROW|unix.F_SEAL_SHRINK|unix.F_SEAL_SEAL)
	}
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "stderr"), nil
}

// readTail returns the last written bytes; the offset is shared with the child.
func readTail(f *os.File) []byte {
	end, err := f.Seek(0, 1)
	if err != nil || end <= 0 {
		return nil
	}
	buf := make([]byte, min(end, tailSize))
	n, _ := f.ReadAt(buf, end-int64(len(buf)))
	return buf[:n]
}

// openAppend opens a file for standard error: made with mode 0600 when missing,
// appended to, never through a link.
func openAppend(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0o600)
	if err != nil {
		return nil, code.New("open "+path+" for standard error", code.StateFailed, err)
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = errors.New("it is not a regular file")
	}
	if err == nil {
		err = keepsText(fd)
	}
	if err == nil {
		err = unix.SetNonblock(fd, false)
	}
	if err != nil {
		return nil, errors.Join(code.New("open "+path+" for standard error", code.StateFailed, err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), path), nil
}

// keepsText refuses what looks like a file and is a handle of the kernel, such as
// the memory of the launcher in /proc, which the child would get past its own
// confinement.
func keepsText(fd int) error {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return fmt.Errorf("look at its file system: %w", err)
	}
	switch fs.Type {
	case unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC, unix.CGROUP_SUPER_MAGIC, unix.CGROUP2_SUPER_MAGIC, unix.DEBUGFS_MAGIC, unix.TRACEFS_MAGIC, unix.SECURITYFS_MAGIC, unix.BINFMTFS_MAGIC:
		return errors.New("it is the kernel's, not a file that keeps what is written")
	}
	return nil
}

func sameInode(st os.FileInfo, b state.Binary) error {
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok || int64(sys.Dev) != b.Device || int64(sys.Ino) != b.Inode {
		return fmt.Errorf("its image is another file than %s as it was recorded", b.Path)
	}
	return nil
}

// imageID is what sameInode will compare a running image with.
func imageID(f *os.File) (device, inode int64, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return 0, 0, err
	}
	return int64(st.Dev), int64(st.Ino), nil
}
