package spawner_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/fswalk"
	"github.com/spawnward/spawnward/spawner/measure"
	"github.com/spawnward/spawnward/spawner/process"
)

// roundsVariable sets the number of raced launches of each attack.
const roundsVariable = "SPAWNWARD_ATTACK_ROUNDS"

func rounds(t *testing.T, ordinary int) int {
	t.Helper()
	text, ok := os.LookupEnv(roundsVariable)
	if !ok {
		return ordinary
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, roundsVariable)
	return n
}

// program is a static program without a runtime: its first instructions make
// the file mark, and it ends. All have the same length.
func program(t *testing.T, mark string) []byte {
	t.Helper()
	text := []byte{
		0x48, 0xbf, 0, 0, 0, 0, 0, 0, 0, 0, // mov rdi, path
		0xbe, 0x41, 0, 0, 0, // mov esi, O_WRONLY|O_CREAT
		0xba, 0x80, 1, 0, 0, // mov edx, 0600
		0xb8, 2, 0, 0, 0, // mov eax, open
		0x0f, 0x05, // syscall
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
	put(header+2, 8, uint64(base+header+len(text)))
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

// arena is a root with a good program and an evil one. Each leaves its mark.
type arena struct {
	dir, root, binary, evil string
	good                    []byte
}

func newArena(t *testing.T, dir string) *arena {
	t.Helper()
	a := &arena{dir: dir, root: filepath.Join(dir, "opt")}
	a.binary, a.evil = filepath.Join(a.root, "bin"), filepath.Join(a.root, "evil")
	a.good = program(t, a.mark("good"))
	evil := program(t, a.mark("evil"))
	require.NoError(t, os.MkdirAll(a.root, 0o755))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "link"), 0o700))
	for path, data := range map[string][]byte{a.binary: a.good, a.evil: evil, filepath.Join(dir, "good"): a.good, filepath.Join(dir, "evil"): evil} {
		require.NoError(t, os.WriteFile(path, data, 0o755))
	}
	return a
}

func (a *arena) mark(of string) string { return filepath.Join(a.dir, of+".mark") }

// attacks are what the separate process does, again and again, until it is
// killed. Errors are part of the race.
func attacks() map[string]func(good, evil []byte, root string) {
	bin, other := "/bin", "/evil"
	overwrite := func(path string, data []byte, restore bool) {
		fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0) // waits for a lease
		if err != nil {
			return
		}
		var st unix.Stat_t
		_ = unix.Fstat(fd, &st)
		_, _ = unix.Pwrite(fd, data, 0)
		_ = unix.Close(fd)
		if restore {
			_ = unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{st.Atim, st.Mtim}, 0)
		}
	}
	place := func(path string, data []byte) {
		_ = os.WriteFile(path+".new", data, 0o755)
		_ = os.Rename(path+".new", path)
	}
	mapped := func(root string, good, evil []byte, keep bool) {
		f, err := os.OpenFile(root+bin, os.O_RDWR|unix.O_NONBLOCK, 0)
		if err != nil {
			return
		}
		m, err := unix.Mmap(int(f.Fd()), 0, len(good), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		_ = f.Close()
		if err != nil {
			return
		}
		for range 3 {
			copy(m, evil)
			pause(50 * time.Microsecond)
			copy(m, good)
		}
		if keep {
			pause(5 * time.Millisecond)
		}
		_ = unix.Munmap(m)
	}
	return map[string]func(good, evil []byte, root string){
		"rename over": func(good, evil []byte, root string) { place(root+bin, evil); place(root+bin, good) },
		"exchange": func(_, _ []byte, root string) {
			_ = unix.Renameat2(unix.AT_FDCWD, root+bin, unix.AT_FDCWD, root+other, unix.RENAME_EXCHANGE)
		},
		"rewrite": func(good, evil []byte, root string) {
			overwrite(root+bin, evil, false)
			overwrite(root+bin, good, false)
		},
		"rewrite and restore times": func(good, evil []byte, root string) {
			overwrite(root+bin, evil, true)
			overwrite(root+bin, good, true)
		},
		"open writer": func(good, evil []byte, root string) {
			f, err := os.OpenFile(root+bin, os.O_RDWR|unix.O_NONBLOCK, 0)
			if err != nil {
				return
			}
			_, _ = f.WriteAt(evil, 0)
			pause(time.Millisecond)
			_, _ = f.WriteAt(good, 0)
			_ = f.Close()
		},
		"mapping dropped": func(good, evil []byte, root string) { mapped(root, good, evil, false) },
		"mapping kept":    func(good, evil []byte, root string) { mapped(root, good, evil, true) },
		"hard link": func(good, _ []byte, root string) {
			_ = unix.Unlink(root + bin)
			_ = unix.Link(root+other, root+bin)
			_ = unix.Unlink(root + bin)
			place(root+bin, good)
		},
	}
}

// pause waits for no event: it is the rhythm of an attack.
func pause(d time.Duration) { <-time.After(d) }

// parts are what this test's binary can play in another process.
func parts() map[string]func([]string) int {
	return map[string]func([]string) int{"attack": playAttack, "launcher": playLauncher, "releaser": playReleaser}
}

// playAttack is the attacking process: the name of an attack and the arena.
func playAttack(args []string) int {
	attack, dir := attacks()[args[0]], args[1]
	good, err := os.ReadFile(filepath.Join(dir, "good"))
	if err != nil {
		return 1
	}
	evil, err := os.ReadFile(filepath.Join(dir, "evil"))
	if err != nil {
		return 1
	}
	for n := 0; ; n = (n + 37) % 1000 {
		attack(good, evil, filepath.Join(dir, "opt"))
		pause(time.Duration(n) * time.Microsecond)
	}
}

// another starts this test's own binary as a process of its own.
func another(t *testing.T, args ...string) *process.Process {
	t.Helper()
	self, err := os.Open("/proc/self/exe")
	require.NoError(t, err)
	defer self.Close()
	p, err := process.Start(process.Spec{File: self, Name: "another", LinkDir: t.TempDir(), Dir: "/", Argv: append([]string{"another"}, args...)})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, process.Family{Leader: p}.End(context.Background()))
		require.NoError(t, p.Close())
	})
	return p
}

var errOtherDigest = errors.New("another digest than the pinned one")

// start measures, demands the digest, starts, compares and releases, as a launch
// does between its decision and its probe.
func (a *arena) start(digest [32]byte) (*process.Process, error) {
	ctx := context.Background()
	t, err := measure.Measure(ctx, a.binary, a.root, measure.Limits{Bytes: 1 << 20}, fswalk.NewIdentities(os.Geteuid()))
	if err != nil {
		return nil, err
	}
	defer t.Close()
	if !t.Hashed || t.Digest != digest {
		return nil, errOtherDigest
	}
	if err := t.Offers(admission.Verified); err != nil {
		return nil, err
	}
	p, err := process.Start(process.Spec{File: t.File, Name: "bin", LinkDir: filepath.Join(a.dir, "link"), Dir: "/", Argv: []string{"bin"}, Stop: true})
	if err != nil {
		return nil, err
	}
	err = t.Compare(ctx, p.PID(), admission.Verified)
	t.Unlock()
	if err == nil {
		err = p.Release()
	}
	if err != nil {
		return nil, errors.Join(err, process.Family{Leader: p}.End(ctx), p.Close())
	}
	return p, nil
}

// places are directories on the file systems at hand.
func places(t *testing.T) map[string]string {
	t.Helper()
	shm, err := os.MkdirTemp("/dev/shm", "sw")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(shm)) })
	return map[string]string{"disk": t.TempDir(), "memory": shm}
}

// Whatever another process does to the file, no wrong program executes a single
// instruction, and the right one still starts in the gaps.
func TestNoWrongExecution(t *testing.T) {
	for place, dir := range places(t) {
		for name := range attacks() {
			t.Run(place+"/"+name, func(t *testing.T) {
				own := filepath.Join(dir, name)
				require.NoError(t, os.Mkdir(own, 0o755))
				a := newArena(t, own)
				digest := sha256.Sum256(a.good)
				another(t, "attack", name, own)
				ran, reasons, n := 0, map[string]int{}, rounds(t, 200)
				for round := 0; round < n || ran == 0; round++ {
					p, err := a.start(digest)
					if err != nil {
						reasons[reasonOf(err)]++
						continue
					}
					ran++
					<-p.Done()
					p.Reap()
					require.NoError(t, p.Close())
					require.NoFileExists(t, a.mark("evil"))
				}
				require.NoFileExists(t, a.mark("evil"))
				require.FileExists(t, a.mark("good"))
				t.Logf("%d ran, refused: %v", ran, reasons)
			})
		}
	}
}

func reasonOf(err error) string {
	switch text := err.Error(); {
	case errors.Is(err, errOtherDigest):
		return "digest"
	case errors.Is(err, unix.ETXTBSY):
		return "busy"
	case errors.Is(err, fswalk.ErrChanged):
		return "changed"
	case strings.Contains(text, "open for writing"):
		return "writer"
	case strings.Contains(text, "was changed after"):
		return "compared"
	default:
		return text
	}
}

// playLauncher never lets the evil program go: it only holds it at its exec.
func playLauncher(args []string) int {
	dir := args[0]
	for {
		f, err := os.Open(filepath.Join(dir, "evil"))
		if err != nil {
			return 1
		}
		p, err := process.Start(process.Spec{File: f, Name: "evil", LinkDir: args[1], Dir: "/", Argv: []string{"evil"}, Stop: true})
		_ = f.Close()
		if err != nil {
			return 2
		}
		_ = os.WriteFile(filepath.Join(dir, "held"), []byte(strconv.Itoa(p.PID())), 0o600)
		if p.Close() != nil {
			return 3
		}
	}
}

// Wherever the launcher dies, what it had not released dies with it and has not
// begun.
func TestKilledLauncherLeavesNothingRunning(t *testing.T) {
	a := newArena(t, t.TempDir())
	evil, err := os.Stat(filepath.Join(a.dir, "evil"))
	require.NoError(t, err)
	for n := range rounds(t, 300) {
		p := another(t, "launcher", a.dir, t.TempDir())
		require.Eventually(t, func() bool { _, err := os.Stat(filepath.Join(a.dir, "held")); return err == nil || !p.Alive() }, 20*time.Second, 200*time.Microsecond)
		pause(time.Duration(n*7919%1500) * time.Microsecond)
		require.True(t, p.Alive(), "it launches until it is killed")
		require.NoError(t, p.Signal(unix.SIGKILL))
		<-p.Done()
		p.Reap()
		require.NoError(t, os.Remove(filepath.Join(a.dir, "held")))
		require.Eventually(t, func() bool { return !anyRuns(t, evil) }, 20*time.Second, 100*time.Microsecond)
		require.NoFileExists(t, a.mark("evil"), "round %d", n)
	}
}

// anyRuns tells whether a process has the file as its image.
func anyRuns(t *testing.T, image os.FileInfo) bool {
	t.Helper()
	all, err := process.All()
	require.NoError(t, err)
	for _, st := range all {
		exe, err := os.Stat("/proc/" + strconv.Itoa(st.PID) + "/exe")
		if err == nil && os.SameFile(exe, image) {
			return true
		}
	}
	return false
}

// playReleaser releases sleep(1), tells its number, and waits to be killed.
func playReleaser(args []string) int {
	f, err := os.Open("/bin/sleep")
	if err != nil {
		return 1
	}
	p, err := process.Start(process.Spec{File: f, Name: "sleep", LinkDir: args[1], Dir: "/", Argv: []string{"sleep", "1000"}, Stop: true})
	if err != nil || p.Release() != nil {
		return 2
	}
	st, err := process.ReadStat(p.PID())
	if err != nil {
		return 3
	}
	_ = os.WriteFile(args[0]+".tmp", fmt.Appendf(nil, "%d %d", st.PID, st.StartTicks), 0o600)
	_ = os.Rename(args[0]+".tmp", args[0])
	<-p.Done()
	return 0
}

// The death signal and the tracer are gone with the release.
func TestReleasedOutlivesItsLauncher(t *testing.T) {
	to := filepath.Join(t.TempDir(), "held")
	launcher := another(t, "releaser", to, t.TempDir())
	require.Eventually(t, func() bool { _, err := os.Stat(to); return err == nil || !launcher.Alive() }, 20*time.Second, time.Millisecond)
	data, err := os.ReadFile(to)
	require.NoError(t, err)
	var pid int
	var ticks uint64
	_, err = fmt.Sscan(string(data), &pid, &ticks)
	require.NoError(t, err)
	p, err := process.Open(pid, ticks)
	require.NoError(t, err)
	defer p.Close()
	require.NoError(t, launcher.Signal(unix.SIGKILL))
	<-launcher.Done()
	launcher.Reap()
	// A death signal would have been sent before the launcher was seen dead, and
	// a signal is acted upon before the next one can be delivered.
	require.NoError(t, p.Signal(unix.SIGCONT))
	require.True(t, p.Alive())
	require.NoError(t, process.Family{Leader: p}.End(context.Background()))
	unix.Wait4(pid, nil, 0, nil) // it is ours by adoption
}
