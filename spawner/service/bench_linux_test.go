package service

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkLoad finds, reads and checks one definition of many.
func BenchmarkLoad(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprint("of-", n), func(b *testing.B) {
			dir := filepath.Join(b.TempDir(), "services")
			require.NoError(b, os.Mkdir(dir, 0o700))
			for i := range n {
				text := fmt.Sprintf("service_name: s%d\nbinary_path: /usr/bin/redis-server\nlaunch: {probe: peer}\n", i)
				require.NoError(b, os.WriteFile(filepath.Join(dir, fmt.Sprintf("s%d.yaml", i)), []byte(text), 0o600))
			}
			dirs := Dirs{User: dir}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Load(dirs, "s0"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkNew checks and copies a definition that came from no file.
func BenchmarkNew(b *testing.B) {
	d := Defaults()
	d.ServiceName, d.BinaryPath = "redis", "/usr/bin/redis-server"
	d.Launch.Args = []string{"--unixsocket", "${endpoint}"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := New(&d, SourceLibrary); err != nil {
			b.Fatal(err)
		}
	}
}
