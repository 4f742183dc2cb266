package probe_test

import (
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/probe"
)

func TestParseNotice(t *testing.T) {
	for text, want := range map[string]probe.Notice{
		"READY=1":                              {Ready: true},
		"READY=1\n":                            {Ready: true},
		"READY=1\x00":                          {Ready: true},
		"READY=0":                              {},
		"READY=1 ":                             {},
		"ready=1":                              {},
		"XREADY=1":                             {},
		"hello":                                {},
		"STATUS=a=b\nREADY=1":                  {Ready: true, Status: "a=b"},
		"STATUS=one\nSTATUS=two":               {Status: "two"},
		"STATUS=\xff\xfeok":                    {Status: "ok"},
		"STATUS=" + strings.Repeat("x", 300):   {Status: strings.Repeat("x", 256)},
		"ERRNO=2":                              {Errno: syscall.ENOENT},
		"ERRNO=0":                              {},
		"ERRNO=-1":                             {},
		"ERRNO=4096":                           {},
		"ERRNO=99999999999999999999":           {},
		"MAINPID=77\nEXTEND_TIMEOUT_USEC=9999": {MainPID: 77},
		"MAINPID=-5":                           {},
		"FDSTORE=1\nWATCHDOG=1\nBARRIER=1":     {},
	} {
		n, ok := probe.ParseNotice([]byte(text))
		require.True(t, ok, "%q", text)
		require.Equal(t, want, n, "%q", text)
	}
	for _, text := range []string{"", "\x00", "READY=1\x00STATUS=x", strings.Repeat("x", probe.MaxNotice+1)} {
		n, ok := probe.ParseNotice([]byte(text))
		require.False(t, ok, "%q", text)
		require.Zero(t, n)
	}
}

func FuzzParseNotice(f *testing.F) {
	f.Add([]byte("STATUS=a\nREADY=1\nERRNO=5\nMAINPID=1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		n, ok := probe.ParseNotice(data)
		require.True(t, ok || n == probe.Notice{})
		require.LessOrEqual(t, len(n.Status), 256)
		require.True(t, utf8.ValidString(n.Status))
		require.True(t, n.Errno <= 4095 && n.MainPID >= 0)
	})
}
