package measure

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/admission"
)

// fileSystem names a statfs magic (linux/magic.h and the file systems' own
// headers). Local ones keep their data on this machine and let the kernel see
// every writer.
func fileSystem(magic int64) (name string, local bool) {
	switch magic {
	case unix.EXT4_SUPER_MAGIC:
		return "ext4", true
	case unix.XFS_SUPER_MAGIC:
		return "xfs", true
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs", true
	case unix.TMPFS_MAGIC:
		return "tmpfs", true
	case unix.RAMFS_MAGIC:
		return "ramfs", true
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlay", true
	case unix.F2FS_SUPER_MAGIC:
		return "f2fs", true
	case unix.SQUASHFS_MAGIC:
		return "squashfs", true
	case unix.EROFS_SUPER_MAGIC_V1:
		return "erofs", true
	case 0x2fc12fc1:
		return "zfs", true
	case 0xca451a4e:
		return "bcachefs", true
	case unix.NFS_SUPER_MAGIC:
		return "nfs", false
	case 0xff534d42, 0xfe534d42, unix.SMB_SUPER_MAGIC:
		return "cifs", false
	case unix.FUSE_SUPER_MAGIC:
		return "fuse", false
	case unix.V9FS_MAGIC:
		return "9p", false
	case unix.MSDOS_SUPER_MAGIC:
		return "vfat", false
	case unix.PROC_SUPER_MAGIC:
		return "proc", false
	}
	return fmt.Sprintf("unknown(%#x)", magic), false
}

func mount(m *admission.Mount, fd int) error {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return fmt.Errorf("statfs: %w", err)
	}
	m.FSMagic = int64(fs.Type) & 0xffffffff
	m.FSType, m.Local = fileSystem(m.FSMagic)
	m.Noexec = fs.Flags&unix.ST_NOEXEC != 0
	m.Nosuid = fs.Flags&unix.ST_NOSUID != 0
	m.Readonly = fs.Flags&unix.ST_RDONLY != 0
	var stx unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &stx); err == nil {
		m.ID = int64(stx.Mnt_id)
	}
	return nil
}
