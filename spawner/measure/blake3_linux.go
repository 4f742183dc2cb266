package measure

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"
)

// BLAKE3 is the BLAKE3-256 of the measured file, for peers that state it of
// themselves. It is read from the file at the first call, unless the cache knew
// it, and may be remembered only if the file could be held again meanwhile and
// was still what had been measured.
func (t *Target) BLAKE3(ctx context.Context) (sum [32]byte, err error) {
	if t.blake3 != nil {
		return *t.blake3, nil
	}
	fd := int(t.File.Fd())
	held := t.key != nil && takeLease(fd) == nil
	if held {
		defer func() { _, _ = unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_UNLCK) }() // a broken lease is no lease
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return sum, fmt.Errorf("stat: %w", err)
	}
	if sum, err = sumBLAKE3(ctx, t.File, st.Size); err != nil {
		return sum, err
	}
	if held && t.stillKeyed(fd) {
		t.blake3, t.news = &sum, true
	}
	return sum, nil
}

// stillKeyed holds when nobody has asked to write the leased file and everything
// is as it was when its key was made.
func (t *Target) stillKeyed(fd int) bool {
	var st unix.Stat_t
	state, err := unix.FcntlInt(uintptr(fd), unix.F_GETLEASE, 0)
	if err != nil || state != unix.F_RDLCK || unix.Fstat(fd, &st) != nil {
		return false
	}
	return st.Size == t.key.Size && st.Mtim.Nano() == t.key.MtimeNS && st.Ctim.Nano() == t.key.CtimeNS
}
