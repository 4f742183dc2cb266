package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/fault"
	"github.com/spawnward/spawnward/spawner/nearest"
	"github.com/spawnward/spawnward/spawner/private"
	"github.com/spawnward/spawnward/wasm"
)

// pinnedFile is what root has settled for every caller.
type pinnedFile struct {
	Policy   string `yaml:"policy"`
	Mode     string `yaml:"mode"`
	Services string `yaml:"services"`
	State    string `yaml:"state"`
	Log      string `yaml:"log"`
	// HookEngine is interpreter or compiler; a flag may still ask for the first.
	HookEngine string `yaml:"hook_engine"`
	// DigestCache is "off", which no flag can undo.
	DigestCache string `yaml:"digest_cache"`
	// VerificationKeys are files with the public keys that may sign policy.
	VerificationKeys []string `yaml:"verification_keys"`

	path string
}

// settled are the keys that the file has, with their values.
func (p *pinnedFile) settled() []string {
	var out []string
	for _, k := range [][2]string{
		{"policy", p.Policy}, {"mode", p.Mode}, {"verification_keys", strings.Join(p.VerificationKeys, " ")}, {"services", p.Services},
		{"state", p.State}, {"log", p.Log}, {"hook_engine", p.HookEngine}, {"digest_cache", p.DigestCache},
	} {
		if k[1] != "" {
			out = append(out, k[0]+" "+k[1])
		}
	}
	return out
}

// maxPinned bounds the pinned file, in bytes.
const maxPinned = 64 << 10

// pinned reads the pinned file anew. One that is missing pins nothing; one that
// others could have written, or that is wrong, refuses the command.
func (a *app) pinned() (*pinnedFile, error) {
	p := &pinnedFile{path: a.pinnedConfig}
	data, err := private.ReadTrusted(a.trustedUID, a.pinnedConfig, maxPinned)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errors.ErrUnsupported) {
		return p, nil
	}
	if err != nil {
		return nil, err
	}
	wrong := func(format string, args ...any) (*pinnedFile, error) {
		return nil, code.New("read "+a.pinnedConfig, code.ConfigInvalid, fmt.Errorf(format, args...))
	}
	known := []string{"policy", "mode", "services", "state", "log", "hook_engine", "verification_keys", "digest_cache"}
	var keys map[string]yaml.Node
	if err := yaml.Unmarshal(data, &keys); err != nil {
		return wrong("%w", err)
	}
	for key, node := range keys {
		switch key {
		case "policy", "mode", "services", "state", "log", "hook_engine", "digest_cache":
			if node.Kind != yaml.ScalarNode || node.Tag != "!!str" || node.Value == "" {
				return wrong("line %d: %s needs a text", node.Line, key)
			}
		case "verification_keys":
			if node.Kind != yaml.SequenceNode || len(node.Content) == 0 {
				return wrong("line %d: verification_keys needs a list of files", node.Line)
			}
		default:
			return wrong("unknown key %q near line %d%s", key, node.Line, nearest.Hint(key, known))
		}
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(p); err != nil && !errors.Is(err, io.EOF) {
		return wrong("%w", err)
	}
	if err := d.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return wrong("it must hold one document")
	}
	if err := p.words(); err != nil {
		return wrong("%w", err)
	}
	switch wasm.Engine(p.HookEngine) {
	case "", wasm.Interpreter, wasm.Compiler:
	default:
		return wrong("hook_engine %q is not one of %s, %s", p.HookEngine, wasm.Interpreter, wasm.Compiler)
	}
	for key, path := range map[string]string{"policy": p.Policy, "services": p.Services, "state": p.State, "log": p.Log} {
		if path != "" && !filepath.IsAbs(path) {
			return wrong("%s: %q is not an absolute path", key, path)
		}
	}
	for _, path := range p.VerificationKeys {
		if !filepath.IsAbs(path) {
			return wrong("verification_keys: %q is not an absolute path", path)
		}
	}
	return p, nil
}

// words checks the keys that take one of a few words.
func (p *pinnedFile) words() error {
	if p.Mode != "" && p.Mode != "enforce" && p.Mode != "monitor" {
		return fmt.Errorf("mode %q is not one of enforce, monitor", p.Mode)
	}
	if p.DigestCache != "" && p.DigestCache != "off" {
		return fmt.Errorf("digest_cache %q: it can only be off", p.DigestCache)
	}
	return nil
}

// choose gives the pinned path, or the flag's made absolute, and refuses a flag
// that says otherwise.
func (p *pinnedFile) choose(name, pinned, flag string) (string, error) {
	if flag != "" {
		abs, err := filepath.Abs(flag)
		if err != nil {
			return "", err
		}
		flag = abs
	}
	if pinned == "" || fault.Mutant("flags-over-pinned") {
		return flag, nil
	}
	if flag != "" && flag != filepath.Clean(pinned) {
		return "", usage("", "--%s %s: %s pins it to %s, and a flag cannot change that", name, flag, p.path, pinned)
	}
	return pinned, nil
}
