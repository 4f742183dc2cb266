// Command driver starts one program again and again, each time in every way
// that a user has, and prints what each start took, in nanoseconds, as JSON:
//
//	driver [-rounds N] [-command SPAWNWARD] BACKEND DIRECTORY
//
// A start ends when the caller has a connection to the program: after that, for
// os/exec, after the handshake and the first answer for go-plugin, after the
// verified handle and a connection of its own for spawnward. The program is ended
// outside the measured time, and each round begins with another way.
//
// The file has been read before, so that it is in the page cache, and spawnward
// has its digest, which go-plugin cannot keep; one way is without it. Every digest
// is a SHA-256 by crypto/sha256. Spawnward does not wait to see the backend stay
// alive (settle), which go-plugin does not either; one way is with that.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
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
	command := flag.String("command", "", "the spawnward command, which is also taken as a way when it is given")
	flag.Parse()
	if err := run(*rounds, *command, flag.Arg(0), flag.Arg(1)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type way struct {
	name  string
	start func() (end func(), err error)
}

func run(rounds int, command, program, dir string) error {
	ways, err := waysOf(command, program, dir)
	if err != nil {
		return err
	}
	type taken struct {
		Way string
		NS  []int64
	}
	took := make([]taken, len(ways))
	for i := range rounds + 1 {
		for j := range ways {
			at := (i + j) % len(ways)
			w := ways[at]
			begin := time.Now()
			end, err := w.start()
			d := time.Since(begin)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			end()
			if i > 0 { // the first round fills caches for everyone
				took[at].Way, took[at].NS = w.name, append(took[at].NS, d.Nanoseconds())
			}
		}
	}
	return json.NewEncoder(os.Stdout).Encode(took)
}

func waysOf(command, program, dir string) ([]way, error) {
	digest, err := hash(program)
	if err != nil {
		return nil, err
	}
	launcher, err := newLauncher(filepath.Join(dir, "state"), dir, false)
	if err != nil {
		return nil, err
	}
	forgetful, err := newLauncher(filepath.Join(dir, "forgets"), dir, true)
	if err != nil {
		return nil, err
	}
	peer, err := request(program, service.ProbePeer)
	if err != nil {
		return nil, err
	}
	identity, err := request(program, service.ProbeIdentity)
	if err != nil {
		return nil, err
	}
	settled := peer
	settled.Override.Settle = service.DefaultSettle
	plain := func() (func(), error) { return startPlain(program, dir) }
	ways := []way{
		{"os/exec", plain},
		{"os/exec after hashing the path", func() (func(), error) {
			if got, err := hash(program); err != nil || string(got) != string(digest) {
				return nil, fmt.Errorf("digest %x: %w", got, err)
			}
			return plain()
		}},
		{"go-plugin with checksum", func() (func(), error) { return startPlugin(program, digest, false) }},
		{"go-plugin with checksum and AutoMTLS", func() (func(), error) { return startPlugin(program, digest, true) }},
		{"spawnward, probe peer", func() (func(), error) { return launch(launcher, peer) }},
		{"spawnward, probe peer, digest not cached", func() (func(), error) { return launch(forgetful, peer) }},
		{"spawnward, probe peer, settled as by default", func() (func(), error) { return launch(launcher, settled) }},
		{"spawnward, probe identity", func() (func(), error) { return launch(launcher, identity) }},
	}
	if command != "" {
		ways = append(ways, way{"spawnward as a command, probe peer", func() (func(), error) { return startCommand(command, program) }})
	}
	return ways, nil
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
		// The timers of an idle Go program fire no earlier than after a millisecond.
		if err := syscall.Nanosleep(&syscall.Timespec{Nsec: 20_000}, nil); err != nil && !errors.Is(err, syscall.EINTR) {
			return end, err
		}
	}
	end()
	return nil, fmt.Errorf("%s never listened", program)
}

func startPlugin(program string, digest []byte, mtls bool) (func(), error) {
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  handshake.Config,
		Plugins:          map[string]plugin.Plugin{},
		Cmd:              exec.Command(program),
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		SecureConfig:     &plugin.SecureConfig{Checksum: digest, Hash: sha256.New()},
		AutoMTLS:         mtls,
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

func newLauncher(state, dir string, forgets bool) (*spawner.Local, error) {
	engine, err := policy.Load(context.Background(), policy.Options{})
	if err != nil {
		return nil, err
	}
	return spawner.New(spawner.Options{
		Decider: engine, StateDir: state, RuntimeDir: dir, UserHash: "0123456789abcdef", NoDigestCache: forgets,
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
	end := func() { _ = h.Kill(context.Background()) }
	conn, err := h.Connect(context.Background())
	if err != nil {
		end()
		return nil, err
	}
	return end, conn.Close()
}

// startCommand takes the command's word for the endpoint.
func startCommand(command, program string) (func(), error) {
	out, err := exec.Command(command, "launch", "--output", "json", "--probe", "peer", "--settle", "1ns",
		"--binary", program, "--root", filepath.Dir(program), "compared@1.0.0", "--", "${endpoint}").Output()
	if err != nil {
		return nil, err
	}
	end := func() { _ = exec.Command(command, "stop", "compared").Run() }
	var report struct {
		Identity struct {
			Endpoint struct{ Path string } `json:"ipc_endpoint"`
		}
	}
	if err := json.Unmarshal(out, &report); err != nil {
		return end, err
	}
	conn, err := net.Dial("unix", report.Identity.Endpoint.Path)
	if err != nil {
		return end, err
	}
	return end, conn.Close()
}
