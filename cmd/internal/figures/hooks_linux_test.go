package figures

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/wasm"
)

// hooks runs environment hooks in workers, which are the command itself.
func (b *bench) hooks() {
	c, err := os.ReadFile("../../../wasm/examples/region/region.wasm")
	require.NoError(b.t, err)
	fromGo := b.hookFromGo()
	cache := wasm.CacheAt(b.dir, "hooks")
	run := func(data []byte, engine wasm.Engine, cache wasm.Cache) func() time.Duration {
		m, err := wasm.Check(data)
		require.NoError(b.t, err)
		h := wasm.Hook{Name: "hook", Module: m}
		o := wasm.Options{Worker: wasm.WorkerAt(b.command), Engine: engine, Deadline: 20 * time.Second, Cache: cache}
		return func() time.Duration {
			begin := time.Now()
			_, err := wasm.Run(b.t.Context(), h, wasm.Input{Config: map[string]any{"zone": "eu"}}, o)
			require.NoError(b.t, err)
			return time.Since(begin)
		}
	}
	samples := []sample{
		b.control(),
		{"hook", run(c, wasm.Interpreter, wasm.Cache{}), nil},
		{"hook-go", run(fromGo, wasm.Interpreter, wasm.Cache{}), nil},
		{"hook-go-compiled", run(fromGo, wasm.Compiler, cache), nil},
	}
	took := inTurns(2*few(), samples)
	for _, s := range samples[1:] {
		b.report.time(s.name, median(took[s.name]), median(took["control"]))
	}
	b.t.Logf("the module from C has %d bytes, that from Go %d", len(c), len(fromGo))
}

// hookFromGo builds the example that hook init writes, as its author does.
func (b *bench) hookFromGo() []byte {
	dir := filepath.Join(b.dir, "hook")
	require.NoError(b.t, os.Mkdir(dir, 0o755))
	for _, name := range []string{"main.go", "go.mod"} {
		text, err := os.ReadFile(fmt.Sprintf("../../../wasm/examples/start/go/%s.txt", name))
		require.NoError(b.t, err)
		require.NoError(b.t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", "hook.wasm", ".")
	build.Dir, build.Env = dir, append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	b.must(build)
	data, err := os.ReadFile(filepath.Join(dir, "hook.wasm"))
	require.NoError(b.t, err)
	return data
}
