//go:build amd64 || arm64

package spawner_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner"
	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/service"
)

// playUser launches as an ordinary user, and tells the binding that was had or
// the code of the failure: uid, root, the least binding, the part that is
// launched, "filtered" where ptrace is forbidden, and where to tell it.
func playUser(args []string) int {
	said := func() string {
		uid, err := strconv.Atoi(args[0])
		if err != nil {
			return err.Error()
		}
		if uid != os.Geteuid() && (syscall.Setgroups(nil) != nil || syscall.Setresgid(uid, uid, uid) != nil || syscall.Setresuid(uid, uid, uid) != nil) {
			return "cannot become the user"
		}
		if args[4] == "filtered" {
			if err := forbidPtrace(); err != nil {
				return err.Error()
			}
		}
		own, err := os.MkdirTemp("/tmp", "sw")
		if err != nil {
			return err.Error()
		}
		defer os.RemoveAll(own)
		l, err := spawner.New(spawner.Options{
			Decider: demanding(admission.Binding(args[2])), StateDir: filepath.Join(own, "state"), RuntimeDir: own, UserHash: "0123456789abcdef",
		})
		if err != nil {
			return err.Error()
		}
		d := service.Defaults()
		d.ServiceName, d.BinaryPath, d.PerVersionBinaryDir = "app", filepath.Join(args[1], "backend"), args[1]
		d.Launch.Args = []string{"scripted-backend", args[3]}
		if args[3] != "good" {
			d.Launch.Probe = service.ProbePeer
		}
		h, err := l.Launch(context.Background(), spawner.Request{Service: "app", Version: "1.2.3", Definition: &service.Loaded{Definition: &d, Source: service.SourceLibrary}})
		if err != nil {
			c, _ := code.Of(err)
			return string(c) + ": " + err.Error()
		}
		if _, err := h.Stop(context.Background(), 10*time.Second); err != nil {
			return err.Error()
		}
		return string(h.Binding())
	}()
	_ = os.WriteFile(args[5], []byte(said), 0o600)
	return 0
}

// forbidPtrace filters ptrace(2) for this process and what it starts, as
// containers do.
func forbidPtrace() error {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_PTRACE, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread() // both calls are of one thread, the second for all
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return errno
	}
	return nil
}

// What an ordinary user gets, for files of every owner, on file systems that
// tell writers and on one that does not, with and without ptrace.
func TestOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("becoming another user needs root")
	}
	memory := filepath.Join("/dev/shm", "sw"+strconv.Itoa(os.Getpid()))
	require.NoError(t, os.Mkdir(memory, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(memory)) })
	over := overlayIn(t, memory)
	const user, other = 4242, 77
	n := 0
	for name, c := range map[string]struct {
		dir   string
		owner int
		least admission.Binding
		part  string
		how   string
		want  string
	}{
		"own":                          {memory, user, admission.Verified, "good", "", "verified"},
		"root's: nobody can write it":  {memory, 0, admission.Verified, "good", "", "verified"},
		"another's: hashed again":      {memory, other, admission.Verified, "good", "", "verified"},
		"sealed":                       {memory, other, admission.Sealed, "peer-good", "", "sealed"},
		"root's on overlay":            {over, 0, admission.Verified, "good", "", "verified"},
		"own on overlay":               {over, user, admission.Verified, "peer-good", "", "sealed"},
		"own on overlay, names itself": {over, user, admission.Verified, "good", "", "binding_unavailable: "},
		"no ptrace":                    {memory, user, admission.Verified, "good", "filtered", "binding_unavailable: "},
		"no ptrace, sealed":            {memory, user, admission.Sealed, "peer-good", "filtered", "binding_unavailable: "},
		"no ptrace, leased is enough":  {memory, user, admission.Leased, "good", "filtered", "leased"},
	} {
		t.Run(name, func(t *testing.T) {
			n++
			root := filepath.Join(c.dir, fmt.Sprint("root", n))
			require.NoError(t, os.Mkdir(root, 0o755))
			w := &world{t: t}
			w.install(filepath.Join(root, "backend"))
			require.NoError(t, os.Chown(filepath.Join(root, "backend"), c.owner, c.owner))
			to, err := os.MkdirTemp("/tmp", "sw")
			require.NoError(t, err)
			defer os.RemoveAll(to)
			require.NoError(t, os.Chown(to, user, user))
			to = filepath.Join(to, "said")
			p := another(t, "user", strconv.Itoa(user), root, string(c.least), c.part, c.how, to)
			<-p.Done()
			said, err := os.ReadFile(to)
			require.NoError(t, err)
			require.Equal(t, c.want, string(said[:min(len(said), len(c.want))]), "%s", said)
			if len(said) > len(c.want) {
				t.Logf("%s", said)
			}
		})
	}
}
