package measure

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// sized makes a file of a mebibyte's worth of different bytes, repeated.
func sized(b *testing.B, size int64) *os.File {
	b.Helper()
	pattern := make([]byte, 1<<20)
	for i := range pattern {
		pattern[i] = byte(i * 2654435761 >> 13)
	}
	f, err := os.OpenFile(filepath.Join(b.TempDir(), "file"), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o755)
	require.NoError(b, err)
	b.Cleanup(func() { f.Close() })
	for left := size; left > 0; left -= int64(len(pattern)) {
		_, err := f.Write(pattern[:min(left, int64(len(pattern)))])
		require.NoError(b, err)
	}
	return f
}

// Hashing by size of the file, in the page cache. The control is the same
// algorithm over 16 KiB that stay in the processor's cache, as openssl speed
// -evp sha256 -bytes 16384 has it. That counts the processor's time in user mode
// alone, as user-MB/s does; MB/s is by the clock on the wall, with the kernel's
// copying of what is read.
func BenchmarkSHA256(b *testing.B) {
	b.Run("control", func(b *testing.B) {
		block, h := make([]byte, 16<<10), sha256.New()
		b.SetBytes(int64(len(block)))
		begin := userTime(b)
		for b.Loop() {
			h.Write(block)
		}
		reportUser(b, int64(len(block)), begin)
	})
	for _, size := range []int64{1 << 10, 64 << 10, 1 << 20, 16 << 20, 64 << 20} {
		b.Run(fmt.Sprint(size>>10, "KiB"), func(b *testing.B) {
			f := sized(b, size)
			b.SetBytes(size)
			b.ReportAllocs()
			begin := userTime(b)
			for b.Loop() {
				if _, err := SHA256(context.Background(), f, size); err != nil {
					b.Fatal(err)
				}
			}
			reportUser(b, size, begin)
		})
	}
}

func userTime(b *testing.B) time.Duration {
	var r unix.Rusage
	require.NoError(b, unix.Getrusage(unix.RUSAGE_SELF, &r))
	return time.Duration(r.Utime.Nano())
}

func reportUser(b *testing.B, size int64, begin time.Duration) {
	if took := userTime(b) - begin; took > 0 {
		b.ReportMetric(float64(size)*float64(b.N)/1e6/took.Seconds(), "user-MB/s")
	}
}
