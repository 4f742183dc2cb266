package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spawnward/spawnward/policy"
	"github.com/spawnward/spawnward/spawner"
	"github.com/spawnward/spawnward/spawner/backend"
	"github.com/spawnward/spawnward/spawner/measure"
	"github.com/spawnward/spawnward/spawner/service"
)

// demoUser stands for the machine's user hash: the demonstration must also run
// where the machine has no id.
const demoUser = "00000000000000de"

// demonstration is a private world of its own, in a temporary directory.
type demonstration struct {
	a      *app
	dir    string
	binary string
	engine *policy.Engine
	handle *spawner.Handle
}

func (a *app) demo(ctx context.Context, args []string) (err error) {
	if len(args) != 0 {
		return usage("demo", "it takes no arguments")
	}
	if a.flags.output == "json" {
		return usage("demo", "it tells a story, and only in text")
	}
	dir, err := os.MkdirTemp("", "spawnward-demo-")
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		return fmt.Errorf("make a directory for the demonstration (set TMPDIR to choose where): %w", err)
	}
	d := &demonstration{a: a, dir: dir, binary: filepath.Join(dir, "opt", "app", "bin", "backend")}
	// Whatever happens, an interrupt included: end what was started, then remove
	// the directory.
	defer func() {
		err = errors.Join(err, d.cleanUp())
	}()
	if err := d.install(); err != nil {
		return err
	}
	if d.engine, err = policy.Load(ctx, policy.Options{}); err != nil {
		return err
	}
	for _, scene := range []func(context.Context) error{d.allowed, d.denied, d.swapped} {
		if err := scene(ctx); err != nil {
			return err
		}
	}
	return a.printf("Everything that was started has been stopped; %s is removed.\n", dir)
}

// install copies this very program to where the backend shall stand.
func (d *demonstration) install() error {
	for _, dir := range []string{"opt/app/bin", "opt/app-evil", "state"} {
		if err := os.MkdirAll(filepath.Join(d.dir, dir), 0o700); err != nil {
			return err
		}
	}
	if err := copySelf(d.binary, ""); err != nil {
		return err
	}
	return copySelf(filepath.Join(d.dir, "opt", "app-evil", "backend"), "")
}

// copySelf copies the running program and appends a text, which changes its
// digest but not what it does.
func copySelf(to, appended string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	in, err := os.Open(self)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, io.MultiReader(in, strings.NewReader(appended))); err != nil {
		return errors.Join(err, out.Close())
	}
	return out.Close()
}

func (d *demonstration) launch(ctx context.Context, binary string, o spawner.Observer) (*spawner.Handle, error) {
	l, err := spawner.New(spawner.Options{
		Decider: d.engine, StateDir: filepath.Join(d.dir, "state"), UserHash: demoUser,
		Observer: o, Adopt: true, Version: versionText(),
	})
	if err != nil {
		return nil, err
	}
	def := service.Defaults()
	def.ServiceName = "demo"
	def.BinaryPath = binary
	def.PerVersionBinaryDir = filepath.Join(d.dir, "opt", "app")
	def.MinVersion = "1.0.0"
	def.Launch.Args = []string{"demo-backend"}
	loaded, err := service.New(&def, service.SourceLibrary)
	if err != nil {
		return nil, err
	}
	return l.Launch(ctx, spawner.Request{Service: "demo", Version: "1.2.3", Definition: loaded})
}

// allowed: a binary where it belongs is launched, talks, and is stopped.
func (d *demonstration) allowed(ctx context.Context) error {
	if err := d.a.printf("1. An allowed launch.\n   The definition says that the service \"demo\" is served by\n   %s,\n   which must stand under %s. It does:\n\n", d.binary, filepath.Dir(filepath.Dir(d.binary))); err != nil {
		return err
	}
	h, err := d.launch(ctx, d.binary, nil)
	if err != nil {
		return err
	}
	d.handle = h
	if err := d.a.printHandle(h.Report()); err != nil {
		return err
	}
	conn, err := h.Connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "who is there?\n"); err != nil {
		return err
	}
	greeting, err := io.ReadAll(io.LimitReader(conn, 256))
	if err != nil {
		return err
	}
	if err := d.a.printf("\n   The backend proved its identity with a fresh nonce, and the kernel vouches for\n   who listens. Connected through the handle, it says: %q\n\n", greeting); err != nil {
		return err
	}
	return d.end(ctx)
}

// denied: a directory whose name merely begins like the root's is outside.
func (d *demonstration) denied(ctx context.Context) error {
	evil := filepath.Join(d.dir, "opt", "app-evil", "backend")
	if err := d.a.printf("2. A denial.\n   The same bytes in %s: the name begins\n   like the root's, but roots are compared by component.\n", filepath.Dir(evil)); err != nil {
		return err
	}
	h, err := d.launch(ctx, evil, nil)
	d.handle = h
	var f *spawner.Failure
	var denied *spawner.DeniedError
	if !errors.As(err, &denied) || !errors.As(err, &f) {
		return fmt.Errorf("the launch was expected to be denied, but: %w", err)
	}
	return d.a.printf("%s\n", findings(f.Report.Decision.Violations, badNews, d.a.brush(d.a.stdout)))
}

// swapper puts another directory in the place of the binary's after policy has
// decided, and puts the first one back once something is executed.
type swapper struct {
	bin, away, impostor string
	err                 error
}

func (s *swapper) Observe(_ context.Context, e spawner.Event) {
	switch e.Step {
	case spawner.Decide:
		s.err = errors.Join(s.err, os.Rename(s.bin, s.away), os.Rename(s.impostor, s.bin))
	case spawner.Spawn:
		s.err = errors.Join(s.err, os.Rename(s.bin, s.impostor), os.Rename(s.away, s.bin))
	}
}

// swapped: what was measured runs, whatever the path leads to by then.
func (d *demonstration) swapped(ctx context.Context) error {
	bin := filepath.Dir(d.binary)
	s := &swapper{bin: bin, away: bin + "-away", impostor: bin + "-impostor"}
	if err := os.Mkdir(s.impostor, 0o700); err != nil {
		return err
	}
	impostor := filepath.Join(s.impostor, filepath.Base(d.binary))
	if err := copySelf(impostor, "something else"); err != nil {
		return err
	}
	there, err := digestOfFile(ctx, impostor)
	if err != nil {
		return err
	}
	if err := d.a.printf("3. A binary swapped under the launcher.\n   After the decision, another directory is put in the place of\n   %s; when the program is executed, the path leads to an impostor:\n\n", bin); err != nil {
		return err
	}
	h, err := d.launch(ctx, d.binary, s)
	d.handle = h
	if err := errors.Join(s.err, err); err != nil {
		return err
	}
	measured := h.Report().Input.Binary.SHA256
	runs, err := digestOfFile(ctx, fmt.Sprintf("/proc/%d/exe", h.Identity().PID))
	if err != nil {
		return err
	}
	if runs != measured || runs == there {
		return errors.New("something else than the measured binary runs: this must not happen, please report it")
	}
	if err := d.a.table([][2]string{{"   decided and measured", measured}, {"   stood at the path", there}, {"   runs", runs}}); err != nil {
		return err
	}
	if err := d.a.printf("\n   What was measured is what runs: the launcher executes the open file, not a path.\n\n"); err != nil {
		return err
	}
	return d.end(ctx)
}

func (d *demonstration) end(ctx context.Context) error {
	h := d.handle
	d.handle = nil
	_, err := h.Stop(ctx, 5*time.Second)
	return err
}

func (d *demonstration) cleanUp() error {
	var err error
	if d.handle != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err = d.handle.Kill(ctx)
	}
	return errors.Join(err, os.RemoveAll(d.dir))
}

// demoBackend is the sample backend: it answers one line with a greeting.
func demoBackend(ctx context.Context) error {
	l, err := backend.Listen()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	for {
		conn, err := l.Accept()
		if err != nil {
			return nil // closed
		}
		go greet(conn)
	}
}

// greet serves one client; a client that is gone needs no greeting.
func greet(conn net.Conn) {
	defer conn.Close()
	if _, err := bufio.NewReader(io.LimitReader(conn, 256)).ReadString('\n'); err != nil {
		return
	}
	_, _ = io.WriteString(conn, "hello from a verified backend")
}

func digestOfFile(ctx context.Context, path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return "", err
	}
	sum, err := measure.SHA256(ctx, f, st.Size())
	return hex.EncodeToString(sum[:]), err
}
