package spawner_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner"
	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/confine"
)

// launch launches a part with whatever the world's decider demands.
func (w *world) launch(part string) (*spawner.Handle, error) {
	return w.local().Launch(context.Background(), w.request(part, nil))
}

// A sealed backend runs from memory: its file may be written and removed, and it
// is still found, told and stopped as what it is.
func TestSealed(t *testing.T) {
	w := newWorld(t)
	w.o.Decider = demanding(admission.Sealed)
	h, err := w.launch("peer-good")
	require.NoError(t, err)
	require.Equal(t, admission.Sealed, h.Binding())
	require.Equal(t, w.binary, h.Identity().ExePath)
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", h.Identity().PID))
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(exe, "/memfd:backend"), exe)
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", h.Identity().PID))
	require.NoError(t, err)
	require.Equal(t, "backend\n", string(comm))
	require.NoError(t, os.WriteFile(w.binary, []byte("something else"), 0o755))

	all, err := w.local().List(context.Background(), "app", "")
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Equal(t, spawner.Live, all[0].State, all[0].Why)
	stop(t, h)
	w.clean(t)
}

// What writes the file while it is measured makes no difference to the copy.
func TestSealedDespiteAnOpenWriter(t *testing.T) {
	w := newWorld(t)
	f, err := os.OpenFile(w.binary, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	w.o.Decider = demanding(admission.Verified)
	h, err := w.launch("peer-good")
	require.NoError(t, err)
	require.Equal(t, admission.Sealed, h.Binding())
	stop(t, h)
	w.clean(t)
}

// Whoever rewrites the file after it was measured rewrites nothing that runs.
func TestRewrittenBehindASealedCopy(t *testing.T) {
	for _, at := range []spawner.Step{spawner.Measure, spawner.Decide, spawner.Intend, spawner.Spawn, spawner.Verify} {
		t.Run(string(at), func(t *testing.T) {
			w := newWorld(t)
			w.o.Decider = demanding(admission.Sealed)
			w.observe = func(e spawner.Event) {
				if e.Step == at {
					require.NoError(t, os.WriteFile(w.binary, []byte("#!/bin/false\n"), 0o755))
				}
			}
			h, err := w.launch("peer-good")
			require.NoError(t, err)
			stop(t, h)
			w.clean(t)
		})
	}
}

func TestWhatCannotBeSealed(t *testing.T) {
	w := newWorld(t)
	w.o.Decider = demanding(admission.Sealed)
	_, err := w.launch("good")
	c, _ := code.Of(err)
	require.Equal(t, code.ServiceInvalid, c, err)
	require.ErrorContains(t, err, "probe")
	w.clean(t)

	small := demanding(admission.Sealed)
	small.sealed = 1000
	w.o.Decider = small
	_, err = w.launch("peer-good")
	requireSpawnError(t, err, code.BindingUnavailable)
	require.ErrorContains(t, err, "max_sealed_bytes")
	w.clean(t)

	// Nobody said ahead of the decision that a copy would be needed.
	late := demanding(admission.Sealed)
	late.binding = ""
	w.o.Decider = late
	_, err = w.launch("peer-good")
	requireSpawnError(t, err, code.BindingUnavailable)
	w.clean(t)

	f, err := os.OpenFile(w.binary, os.O_RDONLY, 0)
	require.NoError(t, err)
	require.NoError(t, f.Chmod(0o755|os.ModeSetgid))
	require.NoError(t, f.Close())
	w.o.Decider = demanding(admission.Sealed)
	_, err = w.launch("peer-good")
	requireSpawnError(t, err, code.SetidNeedsLeased)
	w.clean(t)
}

// mounted gives a directory on a file system that only root can mount.
func mounted(t *testing.T, kind string, flags uintptr, options func(dir string) string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	return mountedIn(t, t.TempDir(), kind, flags, options)
}

func mountedIn(t *testing.T, base, kind string, flags uintptr, options func(dir string) string) string {
	t.Helper()
	dir := filepath.Join(base, "mounted")
	require.NoError(t, os.Mkdir(dir, 0o755))
	data := ""
	if options != nil {
		data = options(base)
	}
	if err := unix.Mount("none", dir, kind, flags, data); err != nil {
		t.Skipf("%s cannot be mounted here: %v", kind, err)
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	return dir
}

func overlay(t *testing.T) string {
	t.Helper()
	return overlayIn(t, t.TempDir())
}

func overlayIn(t *testing.T, base string) string {
	t.Helper()
	return mountedIn(t, base, "overlay", 0, func(base string) string {
		for _, d := range []string{"lower", "upper", "work"} {
			require.NoError(t, os.Mkdir(filepath.Join(base, d), 0o755))
		}
		return fmt.Sprintf("lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work", base, base, base)
	})
}

// move puts the world's binary into another root.
func (w *world) move(root string) {
	w.root, w.binary = root, filepath.Join(root, "backend")
	w.install(w.binary)
}

func TestCopyOfWhatMayNotRunIsRefused(t *testing.T) {
	dir := mounted(t, "tmpfs", unix.MS_NOEXEC, nil)
	w := newWorld(t)
	w.move(dir)
	w.o.Decider = demanding(admission.Sealed)
	_, err := w.launch("peer-good")
	requireSpawnError(t, err, code.SealedSourceNoexec)
	w.clean(t)
	w.o.Decider = demanding(admission.Verified)
	_, err = w.launch("peer-good")
	requireSpawnError(t, err, code.SpawnFailed)
	require.ErrorIs(t, err, unix.EACCES)
	w.clean(t)
}

// Root launches root's files from overlay, as in a container, with every probe.
// What others than root and the trusted owners can write is copied.
func TestOverlay(t *testing.T) {
	dir := overlay(t)
	w := newWorld(t)
	w.move(dir)
	verified := demanding(admission.Verified)
	w.o.Decider = verified
	for _, part := range []string{"good", "peer-good"} {
		h, err := w.launch(part)
		require.NoError(t, err)
		require.Equal(t, admission.Verified, h.Binding())
		stop(t, h)
		w.clean(t)
	}
	require.NoError(t, os.Chown(w.binary, 4242, 4242))
	_, err := w.launch("good")
	requireSpawnError(t, err, code.BindingUnavailable)
	require.ErrorContains(t, err, "overlay")
	require.ErrorContains(t, err, "probe")
	w.clean(t)
	h, err := w.launch("peer-good")
	require.NoError(t, err)
	require.Equal(t, admission.Sealed, h.Binding())
	stop(t, h)
	w.clean(t)

	verified.trusted = []int64{4242}
	w.o.Decider = verified
	h, err = w.launch("good")
	require.NoError(t, err)
	require.Equal(t, admission.Verified, h.Binding())
	stop(t, h)
	w.clean(t)
}

// The copy runs under Landlock rules that do not name it: files in memory are not
// what those are about.
func TestSealedUnderLandlock(t *testing.T) {
	if !slices.Contains(confine.Available(true), "landlock") {
		t.Skip("no Landlock here")
	}
	w := newWorld(t)
	d := demanding(admission.Sealed)
	d.change = func(d *admission.Decision) {
		d.Obligations.Binding = admission.Sealed
		d.Obligations.Confine = admission.Confine{NoNewPrivs: true, Landlock: &admission.Landlock{
			Read: []string{"/proc", "/sys", "/etc"}, Write: []string{filepath.Dir(w.pids)},
		}}
	}
	w.o.Decider = d
	h, err := w.launch("peer-good")
	require.NoError(t, err)
	require.Equal(t, admission.Sealed, h.Binding())
	stop(t, h)
	w.clean(t)
}
