//go:build amd64 || arm64

package spawner_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner"
	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/process"
	"github.com/spawnward/spawnward/spawner/service"
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
		"link of the root": func(_, _ []byte, root string) {
			for _, to := range []string{"other", "opt"} {
				_ = os.Symlink(to, root+".new")
				_ = os.Rename(root+".new", filepath.Dir(root)+"/link")
				pause(50 * time.Microsecond)
			}
		},
		"directory above": func(_, _ []byte, root string) {
			_ = unix.Renameat2(unix.AT_FDCWD, root, unix.AT_FDCWD, filepath.Dir(root)+"/other", unix.RENAME_EXCHANGE)
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
	return map[string]func([]string) int{"attack": playAttack, "launcher": playLauncher, "releaser": playReleaser, "user": playUser}
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
	if uid, err := strconv.Atoi(args[2]); err != nil || uid != 0 && syscall.Setresuid(uid, uid, uid) != nil {
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

// pinning admits one digest.
type pinning struct {
	decider
	digest [32]byte
}

func (p pinning) Decide(ctx context.Context, in *admission.Input) (admission.Decision, error) {
	if in.Binary.Error == "" && in.Binary.SHA256 != hex.EncodeToString(p.digest[:]) {
		return admission.Decision{Schema: 1, Mode: "enforce", Violations: []admission.Finding{{Code: code.DigestNotListed, Enforcement: code.Standard}}}, nil
	}
	return p.decider.Decide(ctx, in)
}

// stage is a file system to attack on, and the user who attacks.
type stage struct {
	name, dir string
	owner     int
	binding   admission.Binding // what is had at least
}

func stages(t *testing.T) []stage {
	t.Helper()
	shm, err := os.MkdirTemp("/dev/shm", "sw")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(shm)) })
	all := []stage{{"disk", t.TempDir(), 0, admission.Verified}, {"memory", shm, 0, admission.Verified}}
	if os.Geteuid() == 0 {
		over := shm + "-overlay"
		require.NoError(t, os.Mkdir(over, 0o755)) // the attacking user must get through
		t.Cleanup(func() { require.NoError(t, os.RemoveAll(over)) })
		all = append(all, stage{"overlay", overlayIn(t, over), 4242, admission.Sealed})
	}
	return all
}

// launches launches the arena's program n times and stops it, and counts why it
// did not run. It goes on until it has run once.
func (a *arena) launches(t *testing.T, n int, root string) (ran int, reasons map[string]int) {
	t.Helper()
	w := newWorld(t)
	state, err := os.MkdirTemp("/dev/shm", "sw")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(state)) })
	w.o.StateDir, w.o.Adopt = state, false
	w.o.Decider = pinning{demanding(admission.Verified), sha256.Sum256(a.good)}
	l, reasons := w.local(), map[string]int{}
	for round := 0; round < n || ran == 0; round++ {
		h, err := l.Launch(context.Background(), spawner.Request{
			Service: "app", Version: "1.2.3", Override: spawner.Override{Settle: time.Millisecond},
			Definition: &service.Loaded{Source: service.SourceLibrary, Definition: a.definition(root)},
		})
		require.NoFileExists(t, a.mark("evil"), "round %d", round)
		if err != nil {
			c, _ := code.Of(err)
			reasons[string(c)]++
			continue
		}
		ran++
		reasons["ran "+string(h.Binding())]++
		stop(t, h)
		require.NoError(t, h.Close())
	}
	return ran, reasons
}

func (a *arena) definition(root string) *service.Definition {
	d := service.Defaults()
	d.ServiceName, d.PerVersionBinaryDir, d.BinaryPath = "app", filepath.Join(a.dir, root), filepath.Join(a.dir, root, "bin")
	d.Launch.Probe, d.Launch.Args = service.ProbePeer, []string{"${endpoint}"}
	return &d
}

// Whatever another process does to the file, no wrong program executes a single
// instruction, and the right one is still launched in the gaps.
func TestNoWrongExecution(t *testing.T) {
	for _, s := range stages(t) {
		for name := range attacks() {
			t.Run(s.name+"/"+name, func(t *testing.T) {
				own := filepath.Join(s.dir, strings.ReplaceAll(name, " ", "-"))
				require.NoError(t, os.Mkdir(own, 0o755))
				a, root := newArena(t, own, s.owner), "opt"
				if name == "link of the root" {
					root = "link"
				}
				another(t, "attack", name, own, strconv.Itoa(s.owner))
				ran, reasons := a.launches(t, rounds(t, 200), root)
				require.NoFileExists(t, a.mark("evil"))
				require.FileExists(t, a.mark("good"))
				require.Positive(t, ran)
				t.Logf("%d ran: %v", ran, reasons)
			})
		}
	}
}
