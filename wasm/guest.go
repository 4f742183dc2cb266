package wasm

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"
)

// features are WebAssembly 2.0 without reference types and vectors.
const features = api.CoreFeaturesV2 &^ (api.CoreFeatureReferenceTypes | api.CoreFeatureSIMD)

// These end a guest from within a function that it called.
var (
	errFlooded = errors.New("it wrote more than a reply may have")
	errSlept   = errors.New("it slept longer than its deadline")
)

// run compiles and runs a guest in this process, which must be a worker.
func run(ctx context.Context, j job) answer {
	config := wazero.NewRuntimeConfigInterpreter()
	own := precompiledOf(j.parts[3])
	if j.engine != interpret {
		config = wazero.NewRuntimeConfigCompiler()
		if j.engine == compileOnly || len(own.code) > 0 {
			cache, err := own.cache()
			if err != nil {
				return failed(unready, err)
			}
			config = config.WithCompilationCache(cache)
		}
	}
	config = config.WithCoreFeatures(features).WithMemoryLimitPages(MaxMemoryPages).WithDebugInfoEnabled(false)
	r := wazero.NewRuntimeWithConfig(ctx, config)
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, r); err != nil {
		return failed(unready, err)
	}
	compiled, err := r.CompileModule(ctx, j.parts[1])
	if err != nil {
		return failed(refused, err)
	}
	if j.engine == compileOnly {
		return answer{end: exited, parts: [4][]byte{3: own.bytes()}}
	}
	stdout := &output{limit: MaxReply, strict: true}
	stderr := &output{limit: maxStderr}
	now := &clock{limit: time.Duration(j.seconds) * time.Second}
	_, err = r.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().
		WithName("hook").WithArgs(string(j.parts[0])).WithStartFunctions("_start").
		WithStdin(bytes.NewReader(j.parts[2])).WithStdout(stdout).WithStderr(stderr).
		WithWalltime(now.wall, 1000).WithNanotime(now.nano, 1000).WithNanosleep(now.sleep))
	a := ended(err)
	a.parts[1], a.parts[2] = stdout.data, stderr.data
	return a
}

// ended tells the ways apart in which a guest ends. Nothing here has a deadline,
// so every exit status, the reserved ones of the runtime too, is the guest's own.
func ended(err error) answer {
	var exit *sys.ExitError
	switch {
	case err == nil:
		return answer{end: exited}
	case errors.As(err, &exit):
		return answer{end: exited, status: exit.ExitCode()}
	case errors.Is(err, errFlooded):
		return answer{end: flooded}
	case errors.Is(err, errSlept):
		return answer{end: slept}
	}
	return failed(trapped, err)
}

func failed(end ending, err error) answer {
	text, _, _ := strings.Cut(err.Error(), "\nwasm stack trace:")
	text = strings.TrimPrefix(text, "module[hook] function[_start] failed: ")
	return answer{end: end, parts: [4][]byte{cut([]byte(text), maxCause)}}
}

// output keeps the beginning of what a guest writes. A strict one ends the
// guest that writes more; the other one swallows the rest.
type output struct {
	data   []byte
	limit  int
	strict bool
}

// Write never fails: a guest could write on after an error.
func (o *output) Write(p []byte) (int, error) {
	room := o.limit - len(o.data)
	if o.strict && len(p) > room {
		panic(errFlooded)
	}
	o.data = append(o.data, cut(p, room)...)
	return len(p), nil
}

// clock starts on 1 January 2000. It moves a microsecond with each look at it,
// and by the length of a sleep, which takes no time.
type clock struct{ passed, slept, limit time.Duration }

func (c *clock) nano() int64 {
	c.passed += time.Microsecond
	return int64(c.passed)
}

func (c *clock) wall() (sec int64, nsec int32) {
	t := time.Unix(946684800, c.nano())
	return t.Unix(), int32(t.Nanosecond())
}

func (c *clock) sleep(ns int64) {
	if ns < 0 || time.Duration(ns) > c.limit-c.slept {
		panic(errSlept)
	}
	c.slept += time.Duration(ns)
	c.passed += time.Duration(ns)
}
