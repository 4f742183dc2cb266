package process

import (
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// stat is a line of /proc/pid/stat for a process of that name.
func stat(name string) string {
	return "42 (" + name + ") S 7 42 40 0 -1 4194560 1 0 0 0 3 4 0 0 20 0 1 0 98765 1000 2 18446744073709551615 0 0\n"
}

func TestParseStat(t *testing.T) {
	want := Stat{PID: 42, PPID: 7, Group: 42, Session: 40, State: 'S', StartTicks: 98765}
	for _, name := range []string{"sh", "", "a) R 1 (b", ")", "(", "((", "))", ") R 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1 0", "two\nlines", "\x00\xff", "a b  c", strings.Repeat(")", 15)} {
		got, err := parseStat(42, []byte(stat(name)))
		require.NoError(t, err, "%q", name)
		require.Equal(t, want, got, "%q", name)
	}
	for name, text := range map[string]string{
		"empty":             "",
		"no name":           "42 sh S 7 42 40",
		"name alone":        "42 (sh)",
		"too few fields":    "42 (sh) S 7 42 40 0",
		"words as numbers":  strings.Replace(stat("sh"), " 7 ", " x ", 1),
		"ticks negative":    strings.Replace(stat("sh"), "98765", "-1", 1),
		"ticks too large":   strings.Replace(stat("sh"), "98765", "98765432109876543210", 1),
		"session too large": strings.Replace(stat("sh"), " 40 ", " 98765432109876543210 ", 1),
	} {
		_, err := parseStat(42, []byte(text))
		require.ErrorContains(t, err, "/proc/42/stat", name)
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte(stat("sh")))
	f.Add([]byte(stat("a) R 1 (b")))
	f.Add([]byte("1 ("))
	f.Fuzz(func(t *testing.T, data []byte) {
		st, err := parseStat(42, data)
		if err != nil {
			require.Zero(t, st)
			return
		}
		require.Equal(t, 42, st.PID)
		require.NotZero(t, st.State)
	})
}

func TestReadStat(t *testing.T) {
	st, err := ReadStat(os.Getpid())
	require.NoError(t, err)
	require.Equal(t, os.Getppid(), st.PPID)
	require.NotZero(t, st.StartTicks)
	for _, pid := range []int{0, -1, 1 << 30} {
		_, err := ReadStat(pid)
		require.ErrorIs(t, err, ErrGone)
	}
}

// No descriptor left is no proof that a process is gone.
func TestNoDescriptorLeftIsNotGone(t *testing.T) {
	var before unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &before))
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: before.Max}))
	_, err := ReadStat(os.Getpid())
	_, allErr := All()
	_, openErr := Open(os.Getpid(), 1)
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &before))
	for _, err := range []error{err, allErr, openErr} {
		require.ErrorIs(t, err, unix.EMFILE)
		require.NotErrorIs(t, err, ErrGone)
	}
}

// What kernels before 5.11 get.
func TestDescriptorsAreMarkedOneByOne(t *testing.T) {
	flags := make(chan [2]int)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its table
		var got [2]int
		defer func() { flags <- got }()
		if unix.Unshare(unix.CLONE_FILES) != nil {
			return
		}
		fd, err := unix.FcntlInt(0, unix.F_DUPFD, 200)
		if err != nil || markEach() != nil {
			return
		}
		got[0], _ = unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		got[1], _ = unix.FcntlInt(0, unix.F_GETFD, 0)
	}()
	require.Equal(t, [2]int{unix.FD_CLOEXEC, 0}, <-flags, "above 2 marked, below not")
}

func TestExitString(t *testing.T) {
	require.Equal(t, "exit status 3", Exit{Status: 3}.String())
	require.Equal(t, "signal 9 (SIGKILL)", Exit{Signaled: true, Status: 9}.String())
	require.Equal(t, "signal 99 (unknown)", Exit{Signaled: true, Status: 99}.String())
}
