package spawner_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"lukechampine.com/blake3"

	"github.com/spawnward/spawnward/spawner/backend"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/service"
	"github.com/spawnward/spawnward/spawner/wire"
)

func newerParts() map[string]func([]string) int {
	return map[string]func([]string) int{"newer": playNewer}
}

// playNewer is a backend of the newer kind: it states the BLAKE3 of its file,
// "alone" or beside the other digest, or a "wrong" one.
func playNewer(args []string) int {
	given, err := backend.Environment()
	if err != nil {
		return 1
	}
	d, err := backend.Identity(given)
	if err != nil {
		return 1
	}
	content, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return 1
	}
	sum := blake3.Sum256(content)
	d.ExeHashAlgorithm, d.ExeHash = wire.HashBLAKE3, sum[:]
	switch args[0] {
	case "alone":
		d.ExeSHA256 = nil
	case "wrong":
		d.ExeHash[31] ^= 1
	}
	stated, err := d.Marshal()
	if err != nil {
		return 1
	}
	l, err := net.Listen("unix", given.Endpoint)
	if err != nil {
		return 1
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return 1
		}
		if question, err := wire.ReadFrame(conn, wire.MaxFrame); err == nil {
			if answer, err := backend.Answer(question, stated); err == nil {
				_ = wire.WriteFrame(conn, answer, wire.MaxFrame)
			}
		}
		_ = conn.Close()
	}
}

func TestPeersThatStateTheNewerDigest(t *testing.T) {
	w := newWorld(t)
	require.Eventually(t, func() bool { // a digest of a young file is never kept
		st, err := os.Stat(w.binary)
		return err == nil && time.Since(time.Unix(st.Sys().(*syscall.Stat_t).Ctim.Unix())) > time.Second
	}, 20*time.Second, 20*time.Millisecond)
	l := w.local()
	kept := func() (found bool) {
		files, err := filepath.Glob(filepath.Join(w.o.StateDir, "*", "digests", "*"))
		require.NoError(t, err)
		for _, f := range files {
			data, err := os.ReadFile(f)
			require.NoError(t, err)
			found = found || strings.Contains(string(data), `"blake3":"`)
		}
		return found
	}
	launch := func(how, version string) error {
		req := w.request("good", func(d *service.Definition) { d.Launch.Args = []string{"newer", how} })
		req.Version = version
		h, err := l.Launch(context.Background(), req)
		if err != nil {
			return err
		}
		again, err := l.Launch(context.Background(), req)
		require.NoError(t, err)
		require.Equal(t, h.Identity(), again.Identity())
		require.NoError(t, again.Close())
		stop(t, h)
		return nil
	}
	remembers := false
	for i, how := range []string{"alone", "beside", "alone", "wrong", "alone"} {
		err := launch(how, fmt.Sprintf("1.0.%d", i))
		if how != "wrong" {
			require.NoError(t, err)
		} else {
			c, _ := code.Of(err)
			require.Equal(t, code.ProbeDigest, c, "%v", err)
		}
		if i == 0 {
			remembers = kept()
		}
		require.Equal(t, remembers, kept())
	}
	w.clean(t)
}
