package measure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/fswalk"
)

// What keeps the measured bytes as they are until they run.
const (
	byNothing = iota
	byLease   // nobody has opened the file for writing since before it was hashed
	byOwner   // only root and trusted owners can write it
	byRehash  // it is hashed again while it runs, when the kernel denies writers
)

// secure finds the strongest of these that the file allows. It must be called
// before the first byte is read.
func (t *Target) secure(fd int, trusted []int64) {
	f := &t.Binary
	switch f.Mount.FSType {
	case "ext4", "xfs", "btrfs", "tmpfs":
		t.held, t.why = t.lease(fd, trusted)
	case "overlay":
		// A mapping of the file below it is no writer of the overlay's own file, and
		// a copy up leaves descriptors behind: only who can write it counts.
		if t.ownersOnly(trusted) && (os.Geteuid() == 0 || !writable(fd)) {
			t.held = byOwner
			break
		}
		t.why = errors.New("on overlay only a file that belongs to root or a trusted owner, and that neither you nor others can write, can be held")
	default:
		t.why = fmt.Errorf("file system %s does not tell who writes the file", f.Mount.FSType)
	}
	// Before Linux 6.13 a second change within the same tick leaves no mark.
	t.young = !kernelAtLeast(6, 13) && time.Since(time.Unix(0, f.CtimeNS)) < time.Second
}

func (t *Target) lease(fd int, trusted []int64) (int, error) {
	err := takeLease(fd)
	switch {
	case err == nil:
		return byLease, nil
	case errors.Is(err, unix.EAGAIN):
		return byNothing, errors.New("a process has it open for writing")
	case t.ownersOnly(trusted):
		return byOwner, nil
	case kernelAtLeast(6, 11) && !kernelAtLeast(6, 13):
		// The first releases of these let a running program be written.
		return byNothing, fmt.Errorf("a read lease was refused (%w), and this kernel may let a running file be written", err)
	}
	return byRehash, nil
}

// ownersOnly holds when nobody but root and the trusted owners can write the
// file. It counts group 0 as others: its members need not be trusted. The bits
// for the group also bound what an access list can grant.
func (t *Target) ownersOnly(trusted []int64) bool {
	uid := t.Binary.UID
	return (uid == 0 || slices.Contains(trusted, uid)) && t.Binary.Mode&0o022 == 0
}

func writable(fd int) bool {
	return unix.Faccessat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), unix.W_OK, unix.AT_EACCESS) == nil
}

// takeLease asks to be told of writers. The kernel would tell by SIGIO, which
// ends a program that does not expect it: the lease is asked for its state
// instead, and the signal is one that is ignored by default, and sent to nobody
// once the lease is had.
func takeLease(fd int) error {
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETSIG, int(unix.SIGURG)); err != nil {
		return err
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_RDLCK); err != nil {
		return err
	}
	_, err := unix.FcntlInt(uintptr(fd), unix.F_SETOWN, 0)
	return err
}

// intact fails as soon as somebody wants to write the leased file.
func (t *Target) intact() error {
	if t.held != byLease {
		return nil
	}
	state, err := unix.FcntlInt(t.File.Fd(), unix.F_GETLEASE, 0)
	if err != nil {
		return fmt.Errorf("look at the lease: %w", err)
	}
	if state != unix.F_RDLCK {
		return fmt.Errorf("%w: %s was opened for writing", fswalk.ErrChanged, t.Binary.Path)
	}
	return nil
}

// ReadAt reads what is measured as long as nobody wants to write it, so that a
// writer does not wait for the end of a large file.
func (r leased) ReadAt(p []byte, off int64) (int, error) {
	if err := r.t.intact(); err != nil {
		return 0, err
	}
	return r.t.image().ReadAt(p, off)
}

type leased struct{ t *Target }

// Offers returns nil when the measured file can be tied to its process as
// strongly as b, and else the reason why not. It does not know whether the
// system lets a process be held at its exec.
func (t *Target) Offers(b admission.Binding) error {
	switch {
	case b == admission.Sealed && t.sealed != nil:
		return nil
	case b == admission.Sealed && t.noSeal != nil:
		return t.noSeal
	case b == admission.Pinned, b == admission.Leased && (t.held == byLease || t.held == byOwner), b == admission.Verified && t.held != byNothing:
		return nil
	case b == admission.Leased && t.held == byRehash:
		return errors.New("a read lease needs the file's owner, and others than root can write the file")
	case t.why != nil:
		return t.why
	}
	return fmt.Errorf("binding %q is not offered", b)
}

// Compare holds the running image of a process against the measurement, as
// strictly as the binding promises. For [admission.Verified] the process must be
// held at its exec, as for [admission.Sealed].
func (t *Target) Compare(ctx context.Context, pid int, b admission.Binding) error {
	var running, measured unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d/exe", pid), &running); err != nil {
		return fmt.Errorf("look at the running image: %w", err)
	}
	if err := unix.Fstat(int(t.Image(b).Fd()), &measured); err != nil {
		return fmt.Errorf("look at the measured file: %w", err)
	}
	f := &t.Binary
	if running.Dev != measured.Dev || running.Ino != measured.Ino {
		return fmt.Errorf("it runs inode %d of device %d, and inode %d of device %d was measured", running.Ino, running.Dev, measured.Ino, measured.Dev)
	}
	if b == admission.Sealed {
		return nil
	}
	// A pinned file may get and lose names.
	renamed := b == admission.Pinned && int64(measured.Nlink) != f.Links
	if measured.Size != f.Size || measured.Mtim.Nano() != f.MtimeNS || measured.Ctim.Nano() != f.CtimeNS && !renamed {
		return fmt.Errorf("%s was changed after it was measured", f.Path)
	}
	if b == admission.Pinned {
		return nil
	}
	if b == admission.Verified && (t.held == byRehash || t.young) {
		sum, err := SHA256(ctx, leased{t}, f.Size)
		if err != nil {
			return fmt.Errorf("hash %s again: %w", f.Path, err)
		}
		if sum != t.Digest {
			return fmt.Errorf("%s has other content than was measured", f.Path)
		}
	}
	return t.intact()
}

// Unlock lets writers go on; the file stays open. After it only
// [admission.Pinned] and [admission.Sealed] can be compared.
func (t *Target) Unlock() {
	if t.held == byLease && t.File != nil {
		_, _ = unix.FcntlInt(t.File.Fd(), unix.F_SETLEASE, unix.F_UNLCK) // a broken lease is no lease
	}
	t.held, t.why = byNothing, errors.New("its lease was given back")
}

// Close releases the measured file.
func (t *Target) Close() error {
	if t.File == nil {
		return nil
	}
	t.Unlock()
	err := t.File.Close()
	if t.sealed != nil {
		err = errors.Join(err, t.sealed.Close())
	}
	t.File, t.sealed = nil, nil
	return err
}

func kernelAtLeast(major, minor int) bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	var a, b int
	if _, err := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &a, &b); err != nil {
		return false
	}
	return a > major || a == major && b >= minor
}
