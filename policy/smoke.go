package policy

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
)

// smoke decides on a launch that the embedded library allows. The site may
// deny it; it must give a decision that is well formed, in time.
func (e *Engine) smoke(ctx context.Context) error {
	_, err := e.decide(ctx, knownGood())
	if err == nil || ctx.Err() != nil {
		return err
	}
	where := ""
	if own, ok := errors.AsType[*Error](err); ok {
		where, err = own.Where, own.Err
	}
	return &Error{C: code.PolicyInvalid, Where: where, Err: fmt.Errorf("%w (asked about an ordinary launch: a policy must decide on that to be loaded)", err)}
}

// knownGood is a launch that the embedded library allows.
func knownGood() *admission.Input {
	idle := int64(30)
	ancestors := func(paths ...string) []admission.Ancestor {
		out := []admission.Ancestor{}
		for _, p := range paths {
			out = append(out, admission.Ancestor{Path: p, Mode: 0o755})
		}
		return out
	}
	return &admission.Input{
		Schema: 1, NowNS: 1_790_000_000_000_000_000,
		Request: admission.Request{
			Service: "redis", Version: "7.0.15", Instance: "private:redis", Args: []string{"--port", "0"},
			Trace: admission.Trace{Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Tracestate: "a=b", RequestID: "r-1"},
		},
		Service: admission.Service{
			Name: "redis", BinaryPath: "/opt/redis/bin/redis-server", Root: "/opt/redis", Isolation: "PRIVATE_BROKER",
			MinVersion: "7.0.0", VersionAllowList: []string{"7.0.15"}, Labels: map[string]string{"team": "data"},
			Launch: admission.ServiceLaunch{
				Argv0: "/opt/redis/bin/redis-server", Dir: "/", PassEnv: []string{}, Probe: "identity", ReadyTimeoutMS: 10000, SettleMS: 20,
				IdleTimeoutSecs: &idle, Stderr: "null", Comm: "redis-server",
			},
			Source: "file", Path: "/etc/spawnward/services/redis.yaml", Mode: 0o644, SHA256: strings.Repeat("d", 64),
		},
		Binary: admission.File{
			Requested: "/opt/redis/bin/redis-server", Path: "/opt/redis/bin/redis-server", Segments: []string{"opt", "redis", "bin", "redis-server"},
			Kind: "regular", SHA256: strings.Repeat("a", 64), Size: 1 << 20, Mode: 0o755, Links: 1, Executable: true, Format: "elf",
			Interp: admission.Interp{Path: "/lib64/ld-linux-x86-64.so.2", Canonical: "/usr/lib/ld.so", SHA256: strings.Repeat("b", 64), Mode: 0o755, SystemPlace: true},
			Device: 1, Inode: 77, MtimeNS: 1_780_000_000_000_000_000, CtimeNS: 1_780_000_000_000_000_000,
			Mount:     admission.Mount{FSType: "ext4", FSMagic: 0xef53, ID: 30, Local: true},
			Ancestors: ancestors("/", "/opt", "/opt/redis", "/opt/redis/bin"), AncestorsWritable: []admission.Ancestor{}, AncestorOwners: []int64{0},
			InsideRoot: true,
		},
		Root: admission.File{
			Requested: "/opt/redis", Path: "/opt/redis", Segments: []string{"opt", "redis"}, Kind: "directory", Mode: 0o755, Links: 3, Executable: true,
			Device: 1, Inode: 70, Mount: admission.Mount{FSType: "ext4", FSMagic: 0xef53, ID: 30, Local: true},
			Ancestors: ancestors("/", "/opt"), AncestorsWritable: []admission.Ancestor{}, AncestorOwners: []int64{0},
		},
		Caller: admission.Caller{UID: 1, GID: 1, Groups: []int64{1}, User: "daemon"},
		Env: []admission.EnvVar{
			{Name: "HOME", Value: "/home/app", Origin: admission.OriginBaseline},
			{Name: "TZ", Value: "UTC", Origin: admission.OriginDefinition},
		},
		EnvFacts: admission.EnvFacts{
			Bytes: 400, LargestValue: 40, Invalid: []string{},
			Foreign: []admission.EnvVar{{Name: "TZ", Value: "UTC", Origin: admission.OriginDefinition}},
		},
		Files: []admission.OutputFile{}, Hooks: []admission.HookRun{},
		Host:     admission.Host{OS: "linux", Arch: "amd64", Hostname: "host", MachineID: strings.Repeat("1", 32), BootID: "b", Kernel: "6.1.0"},
		Launcher: admission.Launcher{Version: "0.1.0", Mode: "enforce", Bindings: []admission.Binding{admission.Pinned, admission.Verified}, Confinement: admission.ConfineKeys(), Phase: admission.PhaseFinal},
	}
}
