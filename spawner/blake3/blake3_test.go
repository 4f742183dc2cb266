package blake3

import (
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// counting is the input of the reference implementation's own test vectors.
func counting(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i % 251)
	}
	return data
}

// The golden values are the output of the Python package blake3 1.0.11, which
// wraps the algorithm's reference implementation:
//
//	python3 -c 'import blake3; print(blake3.blake3(bytes(i % 251 for i in range(N))).hexdigest())'
func TestSum256(t *testing.T) {
	for size, want := range map[int]string{
		0:       "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
		1:       "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
		63:      "e9bc37a594daad83be9470df7f7b3798297c3d834ce80ba85d6e207627b7db7b",
		64:      "4eed7141ea4a5cd4b788606bd23f46e212af9cacebacdc7d1f4c6dc7f2511b98",
		65:      "de1e5fa0be70df6d2be8fffd0e99ceaa8eb6e8c93a63f2d8d1c30ecb6b263dee",
		1023:    "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11",
		1024:    "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
		1025:    "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444",
		2048:    "e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a",
		2049:    "5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030",
		3072:    "b98cb0ff3623be03326b373de6b9095218513e64f1ee2edd2525c7ad1e5cffd2",
		3073:    "7124b49501012f81cc7f11ca069ec9226cecb8a2c850cfe644e327d22d3e1cd3",
		4096:    "015094013f57a5277b59d8475c0501042c0b642e531b0a1c8f58d2163229e969",
		5121:    "628bd2cb2004694adaab7bbd778a25df25c47b9d4155a55f8fbd79f2fe154cff",
		7169:    "a003fc7a51754a9b3c7fae0367ab3d782dccf28855a03d435f8cfe74605e7817",
		8193:    "bab6c09cb8ce8cf459261398d2e7aef35700bf488116ceb94a36d0f5f1b7bc3b",
		31744:   "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47",
		102400:  "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085",
		1048577: "2f053cd7472cf0cd2f9adaf45c1180255b91b9a865404a63671a0ee5f792ed33",
	} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			data := counting(size)
			sum := Sum256(data)
			require.Equal(t, want, hex.EncodeToString(sum[:]))
			for _, piece := range []int{1, 7, blockSize, chunkSize - 1, chunkSize, 5000} {
				h := New()
				for at := 0; at < size; at += piece {
					part := data[at:min(at+piece, size)]
					if n, err := h.Write(part); n != len(part) || err != nil {
						t.Fatal(n, err)
					}
				}
				require.Equal(t, sum, h.Sum256(), "in pieces of %d", piece)
			}
		})
	}
}

// Asking does not change what is hashed, and each prefix has its own digest.
func TestSum256MayBeAskedAtAnyTime(t *testing.T) {
	data, h := counting(3*chunkSize+1), New()
	for i := range data {
		require.Equal(t, Sum256(data[:i]), h.Sum256())
		_, err := h.Write(data[i : i+1])
		require.NoError(t, err)
	}
	require.Equal(t, Sum256(data), h.Sum256())
}

func FuzzWrite(f *testing.F) {
	f.Add(counting(5*chunkSize), 1000, 64)
	f.Add([]byte{}, 0, 0)
	f.Fuzz(func(t *testing.T, data []byte, a, b int) {
		a = min(max(a, 0), len(data))
		b = min(max(b, a), len(data))
		h := New()
		for _, part := range [][]byte{data[:a], data[a:b], data[b:]} {
			if _, err := h.Write(part); err != nil {
				t.Fatal(err)
			}
		}
		if h.Sum256() != Sum256(data) {
			t.Fatal("it depends on how it is written")
		}
	})
}

func BenchmarkSum256(b *testing.B) {
	for _, size := range []int{48, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			data := counting(size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				Sum256(data)
			}
		})
	}
}
