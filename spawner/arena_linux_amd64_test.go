package spawner_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// program is a static program without a runtime: its first instructions make
// the file mark. With an argument it listens on that socket until it is killed.
// All have the same length.
func program(t testing.TB, mark string) []byte {
	t.Helper()
	text := []byte{
		0x48, 0x8d, 0x3d, 0x82, 0, 0, 0, // lea rdi, [rip+mark]
		0xbe, 0x41, 0, 0, 0, // mov esi, O_WRONLY|O_CREAT
		0xba, 0x80, 1, 0, 0, // mov edx, 0600
		0xb8, 2, 0, 0, 0, // mov eax, open
		0x0f, 0x05, // syscall
		0x48, 0x8b, 0x74, 0x24, 0x10, // mov rsi, [rsp+16]: the argument
		0x48, 0x85, 0xf6, // test rsi, rsi
		0x74, 0x5e, // je end
		0x49, 0x89, 0xf4, // mov r12, rsi
		0xbf, 1, 0, 0, 0, // mov edi, AF_UNIX
		0xbe, 1, 0, 0, 0, // mov esi, SOCK_STREAM
		0x31, 0xd2, // xor edx, edx
		0xb8, 41, 0, 0, 0, // mov eax, socket
		0x0f, 0x05, // syscall
		0x41, 0x89, 0xc5, // mov r13d, eax
		0x48, 0x81, 0xec, 0x80, 0, 0, 0, // sub rsp, 128
		0x66, 0xc7, 0x04, 0x24, 1, 0, // mov word [rsp], AF_UNIX
		0x48, 0x8d, 0x7c, 0x24, 0x02, // lea rdi, [rsp+2]
		0x4c, 0x89, 0xe6, // mov rsi, r12
		// copy:
		0xac,       // lodsb
		0xaa,       // stosb
		0x84, 0xc0, // test al, al
		0x75, 0xfa, // jne copy
		0x44, 0x89, 0xef, // mov edi, r13d
		0x48, 0x89, 0xe6, // mov rsi, rsp
		0xba, 110, 0, 0, 0, // mov edx, 110
		0xb8, 49, 0, 0, 0, // mov eax, bind
		0x0f, 0x05, // syscall
		0x44, 0x89, 0xef, // mov edi, r13d
		0xbe, 8, 0, 0, 0, // mov esi, 8
		0xb8, 50, 0, 0, 0, // mov eax, listen
		0x0f, 0x05, // syscall
		// again:
		0xb8, 34, 0, 0, 0, // mov eax, pause
		0x0f, 0x05, // syscall
		0xeb, 0xf7, // jmp again
		// end:
		0x31, 0xff, // xor edi, edi
		0xb8, 60, 0, 0, 0, // mov eax, exit
		0x0f, 0x05, // syscall
	}
	const base, header, size = 0x400000, 64 + 56, 512
	require.Less(t, header+len(text)+len(mark), size)
	image := make([]byte, size)
	put := func(at, n int, v uint64) {
		for i := range n {
			image[at+i] = byte(v >> (8 * i))
		}
	}
	copy(image, "\x7fELF\x02\x01\x01")
	copy(image[header:], text)
	copy(image[header+len(text):], mark)
	put(16, 2, 2)  // executable
	put(18, 2, 62) // x86-64
	put(20, 4, 1)
	put(24, 8, base+header) // entry
	put(32, 8, 64)          // program headers
	put(52, 2, 64)
	put(54, 2, 56)
	put(56, 2, 1)
	put(64, 4, 1)    // load
	put(68, 4, 5)    // readable, executable
	put(80, 8, base) // virtual address
	put(88, 8, base)
	put(96, 8, size)
	put(104, 8, size)
	put(112, 8, 0x1000)
	return image
}

// arena is a directory in which a good program is to be launched and an evil one
// is at hand. Each leaves its mark.
//
//	opt/bin      what is launched, opt/evil beside it
//	other/bin    the evil one under the same name
//	link         leads to opt
type arena struct {
	dir, root, binary, evil string
	good                    []byte
}

func newArena(t testing.TB, dir string, owner int) *arena {
	t.Helper()
	a := &arena{dir: dir, root: filepath.Join(dir, "opt")}
	a.binary, a.evil = filepath.Join(a.root, "bin"), filepath.Join(a.root, "evil")
	a.good = program(t, a.mark("good"))
	evil := program(t, a.mark("evil"))
	for _, d := range []string{a.root, filepath.Join(dir, "other")} {
		require.NoError(t, os.MkdirAll(d, 0o755))
		require.NoError(t, os.Chown(d, owner, owner))
	}
	require.NoError(t, os.Symlink("opt", filepath.Join(dir, "link")))
	for path, data := range map[string][]byte{
		a.binary: a.good, a.evil: evil, filepath.Join(dir, "good"): a.good, filepath.Join(dir, "evil"): evil, filepath.Join(dir, "other/bin"): evil,
	} {
		require.NoError(t, os.WriteFile(path, data, 0o755))
		require.NoError(t, os.Chown(path, owner, owner))
	}
	require.NoError(t, os.Chown(dir, owner, owner))
	return a
}

func (a *arena) mark(of string) string { return filepath.Join(a.dir, of+".mark") }
