package sealed

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Make lets fill write a new memory file and seals it. Until then another
// program of this user could have written it as well: what it holds must be read
// after Make has returned. The file is close-on-exec and the caller's to close.
func Make(name string, fill func(*os.File) error) (*os.File, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	// The kernel takes 249 bytes of a name, which nobody depends on.
	short := name[:min(len(name), 200)]
	fd, err := unix.MemfdCreate(short, flags|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3
		fd, err = unix.MemfdCreate(short, flags)
	}
	if errors.Is(err, unix.EACCES) {
		return nil, fmt.Errorf("executable memory files are forbidden here (vm.memfd_noexec is 2): %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	if err = fill(f); err == nil {
		_, err = unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_GROW|unix.F_SEAL_SHRINK|unix.F_SEAL_SEAL)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
