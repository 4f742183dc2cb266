package policy

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// checkDirectories demands that nobody but root and the effective user can
// replace a directory on the way to path or path itself. A sticky directory is
// safe for the component below it when that belongs to one of the two.
func checkDirectories(path string) error {
	for dir := path; ; dir = filepath.Dir(dir) {
		info, err := os.Lstat(dir)
		if err != nil {
			return err
		}
		isLink := info.Mode()&fs.ModeSymlink != 0
		if !isLink && (dir == path || info.Mode()&fs.ModeSticky == 0) {
			if err := checkTrusted(dir, info); err != nil {
				return err
			}
		} else if err := checkOwner(dir, info); err != nil {
			return err
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// checkTrusted demands that only root and the effective user can write what
// info describes. Write permission of a group counts, unless the group is 0.
func checkTrusted(path string, info fs.FileInfo) error {
	if err := checkOwner(path, info); err != nil {
		return err
	}
	stat := info.Sys().(*syscall.Stat_t)
	mode := info.Mode().Perm()
	if mode&0o002 != 0 || (mode&0o020 != 0 && stat.Gid != 0) {
		return fmt.Errorf("%s can be written by others (mode %04o); run: chmod go-w %q", path, mode, path)
	}
	return nil
}

func checkOwner(path string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%s: its owner cannot be read", path)
	}
	if stat.Uid != 0 && int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d; policy must belong to root or the launching user", path, stat.Uid)
	}
	return nil
}
