package confine

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Truncation is denied from version 3 on: before, a file that must not be
// written could be emptied.
const minLandlock = 3

// The rights of each kind of rule. Device nodes can be made nowhere.
const (
	readRights  = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	execRights  = unix.LANDLOCK_ACCESS_FS_EXECUTE
	writeRights = unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV |
		unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_MAKE_DIR |
		unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_MAKE_FIFO |
		unix.LANDLOCK_ACCESS_FS_MAKE_SYM | unix.LANDLOCK_ACCESS_FS_REFER
	nodeRights = unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK
	fileRights = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_READ_FILE |
		unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
)

// landlockVersion asks the running kernel.
func landlockVersion() (int, error) {
	v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0, fmt.Errorf("this kernel has no Landlock, or it is switched off: %w", errno)
	}
	return int(v), nil
}

func landlockReady() error {
	version, err := landlockVersion()
	if err == nil && version < minLandlock {
		return fmt.Errorf("this kernel's Landlock is of version %d, which lets files be truncated; version %d came with Linux 6.2", version, minLandlock)
	}
	return err
}

// handled is what is denied unless a rule allows it.
func handled(version int) uint64 {
	rights := uint64(readRights | execRights | writeRights | nodeRights)
	if version < 5 {
		rights &^= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	return rights
}

// ruleset makes the rules' kernel object. The binary goes in by its descriptor:
// its path may be another file by now. Early, the binary and the launcher's own
// additions are left out.
func (r *Rules) ruleset(binary *os.File, early bool) (int, error) {
	if err := landlockReady(); err != nil {
		return -1, err
	}
	version, err := landlockVersion()
	if err != nil {
		return -1, err
	}
	attr := unix.LandlockRulesetAttr{Handled_access_fs: handled(version)}
	n, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr.Handled_access_fs), 0)
	if errno != 0 {
		return -1, fmt.Errorf("create rules: %w", errno)
	}
	set := ruleset{int(n), attr.Handled_access_fs, r, early}
	if err := set.fill(binary); err != nil {
		return -1, errors.Join(err, unix.Close(set.fd))
	}
	return set.fd, nil
}

type ruleset struct {
	fd      int
	handled uint64
	rules   *Rules
	early   bool
}

func (s *ruleset) fill(binary *os.File) error {
	lists := []struct {
		name         string
		paths, asked []string
		rights       uint64
	}{
		{"read", s.rules.Read, s.rules.asked.Read, readRights},
		{"write", s.rules.Write, s.rules.asked.Write, writeRights},
		{"exec", s.rules.Exec, s.rules.asked.Exec, execRights},
	}
	for _, list := range lists {
		for _, p := range list.paths {
			asked := slices.Contains(list.asked, p)
			if !asked && (s.early || p == s.rules.binary) {
				continue
			}
			err := s.path(p, list.rights)
			if errors.Is(err, unix.ENOENT) && !asked {
				continue // a library directory that this system does not have
			}
			if err != nil {
				return fmt.Errorf("%s %s: %w", list.name, p, err)
			}
		}
	}
	if binary == nil {
		return nil
	}
	err := s.add(int(binary.Fd()), readRights|execRights)
	if errors.Is(err, unix.EBADFD) {
		return nil // a sealed copy is no file that Landlock knows
	}
	return err
}

func (s *ruleset) path(p string, rights uint64) error {
	fd, err := unix.Open(p, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return s.add(fd, rights)
}

func (s *ruleset) add(fd int, rights uint64) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= fileRights
	}
	attr := unix.LandlockPathBeneathAttr{Allowed_access: rights & s.handled, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(s.fd), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&attr)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
