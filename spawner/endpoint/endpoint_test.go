package endpoint

import (
	"bytes"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/code"
)

// The golden values are the output of the Python package blake3 1.0.11, which
// wraps the algorithm's reference implementation:
//
//	python3 -c 'import blake3; print(blake3.blake3(b"TEXT").hexdigest()[:16])'
func TestUserHashGolden(t *testing.T) {
	for text, want := range map[string]string{
		"1000:0123456789abcdef0123456789abcdef": "9bfab56ad37b16cc",
		"0:fedcba9876543210fedcba9876543210":    "dbee3200b42bd0bd",
		"65534:x":                               "bcee179385bfb102",
		"":                                      "af1349b9f5f9a1a6",
	} {
		require.Equal(t, want, hash8(text))
		require.True(t, ValidUserHash(want))
	}
}

func TestUserHash(t *testing.T) {
	got, err := UserHash(1000)
	id, iderr := MachineID()
	if iderr != nil {
		var coder code.Coder
		require.ErrorAs(t, err, &coder)
		require.Equal(t, code.NoMachineID, coder.Code())
		require.ErrorContains(t, err, "--user-hash")
		return
	}
	require.NoError(t, err)
	require.Equal(t, hash8("1000:"+id), got)
	other, err := UserHash(1001)
	require.NoError(t, err)
	require.NotEqual(t, got, other)
}

func TestValidUserHash(t *testing.T) {
	for text, want := range map[string]bool{
		"0123456789abcdef": true, "ffffffffffffffff": true,
		"": false, "0123456789abcde": false, "0123456789abcdef0": false, "0123456789ABCDEF": false,
		"../../../../etc/": false, "0123456789abcde\n": false, "0123456789abcdeé": false,
	} {
		require.Equal(t, want, ValidUserHash(text), "%q", text)
	}
}

func TestMachineID(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	good, other := write("good", " 0123456789abcdef\n\n"), write("other", "fedcba")
	empty, blank, fresh, none := write("empty", ""), write("blank", " \n"), write("fresh", "uninitialized\n"), filepath.Join(dir, "none")
	for name, c := range map[string]struct {
		files []string
		want  string
	}{
		"the first":         {[]string{good, other}, "0123456789abcdef"},
		"the second":        {[]string{none, other}, "fedcba"},
		"empty first":       {[]string{empty, other}, "fedcba"},
		"blank first":       {[]string{blank, other}, "fedcba"},
		"not yet made":      {[]string{fresh, other}, "fedcba"},
		"directory first":   {[]string{dir, other}, "fedcba"},
		"none":              {[]string{none, empty, fresh}, ""},
		"no files to be at": {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			id, err := machineIDIn(c.files...)
			require.Equal(t, c.want, id)
			require.Equal(t, c.want == "", err != nil)
			for _, f := range c.files {
				if err != nil {
					require.ErrorContains(t, err, f)
				}
			}
		})
	}
}

func codeOf(t *testing.T, err error) code.Code {
	t.Helper()
	require.Error(t, err)
	c, _ := code.Of(err)
	return c
}

// shortDir is a fresh directory with a path that leaves room for a name.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func TestNames(t *testing.T) {
	dir := shortDir(t)
	a := NewAllocator(dir, "0123456789abcdef", "private:web")
	a.random = bytes.NewReader(bytes.Repeat([]byte{0xab, 0x01}, 8))
	e, err := a.Allocate()
	require.NoError(t, err)
	id := strings.Repeat("ab01", 8)
	require.Equal(t, Endpoint{NamespaceID: "private:web", Path: pathOf(dir, "rpb-v1-0123456789abcdef-be-"+id)}, e)
	require.Len(t, a.reserved, 1)
	a.Release(e)
	require.Empty(t, a.reserved)
	a.Release(Endpoint{Path: "never given"})
}

// repeating gives the same bytes for ever and counts how often it was asked.
type repeating struct{ times *int }

func (r repeating) Read(p []byte) (int, error) {
	*r.times++
	clear(p)
	return len(p), nil
}

func TestCollisions(t *testing.T) {
	times := 0
	a := NewAllocator(shortDir(t), "0123456789abcdef", "shared")
	a.random = repeating{&times}
	first, err := a.Allocate()
	require.NoError(t, err)
	require.Equal(t, 1, times)
	_, err = a.Allocate()
	require.Equal(t, code.EndpointExhausted, codeOf(t, err))
	require.Equal(t, 1+Tries, times)
	a.Release(first)
	_, err = a.Allocate()
	require.NoError(t, err, "released names can be given again")

	// Fifteen collisions, then luck.
	a = NewAllocator(shortDir(t), "0123456789abcdef", "shared")
	a.random = bytes.NewReader(append(make([]byte, 16*Tries), bytes.Repeat([]byte{1}, 16)...))
	_, err = a.Allocate()
	require.NoError(t, err)
	_, err = a.Allocate()
	require.NoError(t, err)
}

func TestRandomSourceThatFails(t *testing.T) {
	a := NewAllocator(shortDir(t), "0123456789abcdef", "shared")
	broken := errors.New("broken")
	a.random = iotest.ErrReader(broken)
	_, err := a.Allocate()
	require.Equal(t, code.EndpointExhausted, codeOf(t, err))
	require.ErrorIs(t, err, broken)
	a.random = bytes.NewReader(make([]byte, 15))
	_, err = a.Allocate()
	require.Error(t, err, "too few random bytes are none")
}

func TestManyAllocationsAreUnique(t *testing.T) {
	const workers, each = 20, 500
	a := NewAllocator(shortDir(t), "0123456789abcdef", "shared")
	var wg sync.WaitGroup
	got := make([][]Endpoint, workers)
	for i := range got {
		wg.Go(func() {
			for range each {
				if e, err := a.Allocate(); err == nil {
					got[i] = append(got[i], e)
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, list := range got {
		require.Len(t, list, each)
		for _, e := range list {
			require.False(t, seen[e.Path])
			seen[e.Path] = true
		}
	}
	require.Len(t, seen, workers*each)
	require.Equal(t, rand.Reader, a.random)
}

func TestID(t *testing.T) {
	id := strings.Repeat("0f", 16)
	for path, want := range map[string]string{
		"/run/rpb-v1-0123456789abcdef-be-" + id + ".sock": id,
		"rpb-v1-0123456789abcdef-be-" + id:                id,
		"/run/x.sock":                                     "x",
		"/run/x-.sock":                                    "",
		"":                                                ".",
	} {
		require.Equal(t, want, Endpoint{Path: path}.ID(), path)
	}
}
