package endpoint

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/code"
)

// leafLength is that of "/rpb-v1-<16>-be-<32>.sock".
const leafLength = 1 + 7 + 16 + 4 + 32 + 5

func TestLengthLimit(t *testing.T) {
	base := shortDir(t)
	for length, fits := range map[int]bool{106: true, 107: true, 108: false, 200: false} {
		dir := filepath.Join(base, strings.Repeat("d", length-leafLength-len(base)-1))
		e, err := NewAllocator(dir, "0123456789abcdef", "shared").Allocate()
		if !fits {
			require.Equal(t, code.EndpointTooLong, codeOf(t, err))
			require.ErrorContains(t, err, dir)
			continue
		}
		require.NoError(t, err)
		require.Len(t, e.Path, length)
	}
}

// The kernel agrees that 107 bytes are the most.
func TestTheKernelsLimit(t *testing.T) {
	dir := shortDir(t)
	for length, fits := range map[int]bool{107: true, 108: false} {
		path := filepath.Join(dir, strings.Repeat("s", length-len(dir)-1))
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
		require.Equal(t, fits, err == nil, "%d: %v", length, err)
		if err == nil {
			require.NoError(t, l.Close())
		}
	}
}

func TestNamesThatExistAreNotGiven(t *testing.T) {
	dir := shortDir(t)
	a := NewAllocator(dir, "0123456789abcdef", "shared")
	times := 0
	a.random = repeating{&times}
	// A link that leads nowhere is a name that is taken, too.
	require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "rpb-v1-0123456789abcdef-be-"+strings.Repeat("0", 32)+".sock")))
	_, err := a.Allocate()
	require.Equal(t, code.EndpointExhausted, codeOf(t, err))
	require.Equal(t, Tries, times)
}

func TestDirectoryThatIsNone(t *testing.T) {
	file := filepath.Join(shortDir(t), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := NewAllocator(file, "0123456789abcdef", "shared").Allocate()
	require.Equal(t, code.StateFailed, codeOf(t, err))
	require.ErrorContains(t, err, "not a directory")
	_, err = NewAllocator(filepath.Join(filepath.Dir(file), "later"), "0123456789abcdef", "shared").Allocate()
	require.NoError(t, err, "the directory may be made later")
}

func TestDir(t *testing.T) {
	for runtime, want := range map[string][]string{
		"/run/user/1000":    {"/run/user", "1000", "running-process", "broker"},
		"/run/user/1000///": {"/run/user", "1000", "running-process", "broker"},
		"/run/../x/y":       {"/x", "y", "running-process", "broker"},
		"/one":              {"/", "one", "running-process", "broker"},
		"":                  {"/tmp", "running-process-7", "broker"},
		"/":                 {"/tmp", "running-process-7", "broker"},
		"//..":              {"/tmp", "running-process-7", "broker"},
		"relative/dir":      {"/tmp", "running-process-7", "broker"},
	} {
		parent, names := Dir(runtime, 7)
		require.Equal(t, want, append([]string{parent}, names...), runtime)
	}
}

func TestBootID(t *testing.T) {
	id, err := BootID()
	require.NoError(t, err)
	require.Regexp(t, `^[0-9a-f-]{36}$`, id)
	again, err := BootID()
	require.NoError(t, err)
	require.Equal(t, id, again)
}
