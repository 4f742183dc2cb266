package sealed_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/sealed"
)

func TestNobodyChangesIt(t *testing.T) {
	f, err := sealed.Make(strings.Repeat("n", 300), func(f *os.File) error {
		_, err := f.WriteString("text")
		return err
	})
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteAt([]byte("x"), 0)
	require.ErrorIs(t, err, unix.EPERM)
	require.ErrorIs(t, f.Truncate(1), unix.EPERM)
	require.ErrorIs(t, f.Truncate(9), unix.EPERM)
	_, err = unix.Mmap(int(f.Fd()), 0, 4, unix.PROT_WRITE, unix.MAP_SHARED)
	require.ErrorIs(t, err, unix.EPERM)
	_, err = unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_FUTURE_WRITE)
	require.ErrorIs(t, err, unix.EPERM)
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0)
	require.NoError(t, err)
	require.Equal(t, unix.FD_CLOEXEC, flags)
}

func TestWhatCannotBeSealedIsClosed(t *testing.T) {
	broken := errors.New("broken")
	var kept *os.File
	_, err := sealed.Make("x", func(f *os.File) error { kept = f; return broken })
	require.ErrorIs(t, err, broken)
	require.ErrorIs(t, kept.Close(), os.ErrClosed)

	// A store through a mapping could not be refused later.
	var mapped []byte
	_, err = sealed.Make("x", func(f *os.File) error {
		if err := f.Truncate(4); err != nil {
			return err
		}
		var err error
		mapped, err = unix.Mmap(int(f.Fd()), 0, 4, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		return err
	})
	require.ErrorIs(t, err, unix.EBUSY)
	require.NoError(t, unix.Munmap(mapped))
}
