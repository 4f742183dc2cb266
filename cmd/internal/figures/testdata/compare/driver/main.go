// Command driver starts one program again and again, each time in every way
// that a user has, and prints what each start took, in nanoseconds, as JSON:
//
//	driver [-rounds N] BACKEND DIRECTORY
//
// A start ends when the caller can speak to the program: a connection for
// os/exec, the handshake and the first connection for go-plugin, the verified handle for
// spawnward. The program is ended outside the measured time.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/spawnward/spawnward/cmd/internal/figures/testdata/compare/handshake"
	"github.com/spawnward/spawnward/policy"
	"github.com/spawnward/spawnward/spawner"
	"github.com/spawnward/spawnward/spawner/service"
)

func main() {
	rounds := flag.Int("rounds", 30, "how often each way is taken")
	flag.Parse()
	if err := run(*rounds, flag.Arg(0), flag.Arg(1)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type way struct {
	name  string
	start func() (end func(), err error)
}

func run(rounds int, program, dir string) error {
	digest, err := hash(program)
	if err != nil {
		return err
	}
	launcher, err := newLauncher(dir)
	if err != nil {
		return err
	}
	peer, err := request(program, service.ProbePeer)
	if err != nil {
		return err
	}
	identity, err := request(program, service.ProbeIdentity)
	if err != nil {
		return err
	}
	plain := func() (func(), error) { return startPlain(program, dir) }
	ways := []way{
		{"os/exec", plain},
		{"os/exec after hashing the path", func() (func(), error) {
			if got, err := hash(program); err != nil || string(got) != string(digest) {
				return nil, fmt.Errorf("digest %x: %w", got, err)
			}
			return plain()
		}},
		{"go-plugin with checksum", func() (func(), error) { return startPlugin(program, digest) }},
		{"spawnward, probe peer", func() (func(), error) { return launch(launcher, peer) }},
		{"spawnward, probe identity", func() (func(), error) { return launch(launcher, identity) }},
	}
	type taken struct {
		Way string
		NS  []int64
	}
	took := make([]taken, len(ways))
	for i := range rounds + 1 {
		for j, w := range ways {
			begin := time.Now()
			end, err := w.start()
			d := time.Since(begin)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			end()
			if i > 0 { // the first round fills caches for everyone
				took[j].Way, took[j].NS = w.name, append(took[j].NS, d.Nanoseconds())
			}
		}
	}
	return json.NewEncoder(os.Stdout).Encode(took)
}

func hash(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return h.Sum(nil), err
}

func startPlain(program, dir string) (func(), error) {
	socket := filepath.Join(dir, "plain.sock")
	c := exec.Command(program, socket)
	if err := c.Start(); err != nil {
		return nil, err
	}
	end := func() {
		_ = c.Process.Kill()
		_ = c.Wait()
		_ = os.Remove(socket)
	}
	for begin := time.Now(); time.Since(begin) < 10*time.Second; {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			return end, conn.Close()
		}
		time.Sleep(50 * time.Microsecond)
	}
	end()
	return nil, fmt.Errorf("%s never listened", program)
}

func startPlugin(program string, digest []byte) (func(), error) {
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  handshake.Config,
		Plugins:          map[string]plugin.Plugin{},
		Cmd:              exec.Command(program),
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		SecureConfig:     &plugin.SecureConfig{Checksum: digest, Hash: sha256.New()},
		Logger:           hclog.NewNullLogger(),
	})
	rpc, err := client.Client()
	if err == nil {
		err = rpc.Ping()
	}
	if err != nil {
		client.Kill()
		return nil, err
	}
	return client.Kill, nil
}

func newLauncher(dir string) (*spawner.Local, error) {
	engine, err := policy.Load(context.Background(), policy.Options{})
	if err != nil {
		return nil, err
	}
	return spawner.New(spawner.Options{
		Decider: engine, StateDir: filepath.Join(dir, "state"), RuntimeDir: dir, UserHash: "0123456789abcdef",
	})
}

func request(program string, probe service.Probe) (spawner.Request, error) {
	d := service.Defaults()
	d.ServiceName, d.BinaryPath, d.PerVersionBinaryDir = "compared", program, filepath.Dir(program)
	d.Launch.Probe = probe
	if probe == service.ProbePeer {
		d.Launch.Args = []string{"${endpoint}"} // listens as the control does
	}
	loaded, err := service.New(&d, service.SourceLibrary)
	return spawner.Request{
		Service: "compared", Version: "1.0.0", Definition: loaded,
		Override: spawner.Override{Settle: time.Nanosecond},
	}, err
}

func launch(l *spawner.Local, r spawner.Request) (func(), error) {
	h, err := l.Launch(context.Background(), r)
	if err != nil {
		return nil, err
	}
	return func() { _ = h.Kill(context.Background()) }, nil
}
