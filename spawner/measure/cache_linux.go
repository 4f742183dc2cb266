package measure

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/endpoint"
	"github.com/spawnward/spawnward/spawner/fswalk"
)

// cacheable gives the key of a held file whose digest may be remembered, or nil.
// A cache knows the boot already; a digest can also be remembered in one that
// does not exist yet.
func (t *Target) cacheable(c *Cache) *cacheKey {
	f := &t.Binary
	owned := f.UID == 0 || f.UID == int64(os.Geteuid())
	age := time.Since(time.Unix(0, f.CtimeNS))
	if t.held != byLease || t.sealed != nil || !owned || f.WritableByOthers || f.Links == 0 || age < time.Second || !timesMove(f.Mount.FSType) {
		return nil
	}
	boot, err := c.bootID()
	if err != nil {
		return nil
	}
	mount, err := mountID(int(t.File.Fd()))
	if err != nil {
		return nil
	}
	return &cacheKey{
		BootID: boot, FSMagic: f.Mount.FSMagic, Mount: mount, Device: f.Device, Inode: f.Inode,
		Size: f.Size, MtimeNS: f.MtimeNS, CtimeNS: f.CtimeNS,
	}
}

func (c *Cache) bootID() (string, error) {
	if c != nil {
		return c.boot, nil
	}
	return endpoint.BootID()
}

// timesMove lists the file systems on which a test has shown that each way to
// write moves the change time, stores through a mapping included. XFS exchanges
// contents without it, and older kernels had no time for mappings on tmpfs.
func timesMove(fs string) bool {
	return fs == "ext4" || fs == "tmpfs" && kernelAtLeast(6, 18)
}

func mountID(fd int) (uint64, error) {
	var stx unix.Statx_t
	err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID_UNIQUE, &stx)
	if err == nil && stx.Mask&unix.STATX_MNT_ID_UNIQUE != 0 {
		return stx.Mnt_id, nil
	}
	// Before Linux 6.8 an id can be given again, to another mount of this device.
	err = unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &stx)
	return stx.Mnt_id, err
}

// clockOffset is by how many nanoseconds the clock is ahead of the time since
// boot.
func clockOffset() (int64, error) {
	var wall, boot unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME, &wall); err != nil {
		return 0, fmt.Errorf("read the clock: %w", err)
	}
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot); err != nil {
		return 0, fmt.Errorf("read the boot-time clock: %w", err)
	}
	return wall.Nano() - boot.Nano(), nil
}

// Image hashes the open image of a running process, with the help of the cache
// where the file can be held meanwhile. The target takes over the file.
func Image(ctx context.Context, file *os.File, cache *Cache, ids *fswalk.Identities) (*Target, error) {
	t := &Target{File: file, Binary: empty(file.Name())}
	var st, after unix.Stat_t
	if err := facts(&t.Binary, int(file.Fd()), &st, ids); err != nil {
		return t, err
	}
	if cache != nil && timesMove(t.Binary.Mount.FSType) && takeLease(int(file.Fd())) == nil {
		t.held = byLease
	}
	defer t.Unlock()
	t.key = t.cacheable(cache)
	if !t.recall(cache) {
		sum, err := SHA256(ctx, file, st.Size)
		if err != nil {
			return t, err
		}
		t.Digest = sum
	}
	if err := unix.Fstat(int(file.Fd()), &after); err != nil {
		return t, fmt.Errorf("stat: %w", err)
	}
	if !SameContent(&st, &after) || t.intact() != nil {
		return t, fmt.Errorf("%w: the image was written while it was hashed", fswalk.ErrChanged)
	}
	t.Binary.SHA256, t.Hashed = hex.EncodeToString(t.Digest[:]), true
	return t, nil
}
