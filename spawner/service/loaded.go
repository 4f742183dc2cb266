package service

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"path"
	"slices"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
)

// Where a definition came from.
const (
	SourceFile    = "file"
	SourceFlags   = "flags"
	SourceLibrary = "library"
)

// Loaded is a definition with where it came from.
type Loaded struct {
	Definition *Definition
	// Source is [SourceFile], [SourceFlags] or [SourceLibrary].
	Source string
	// Path is the file, Dir the directory that holds it, OwnerUID and Mode (the
	// low twelve bits) its owner and permissions; empty for other sources.
	Path     string
	Dir      string
	OwnerUID int64
	Mode     int64
	// SHA256 is the digest of the file's bytes, or of the canonical form for
	// other sources; 64 lower-case hexadecimal digits.
	SHA256 string
}

// New wraps a definition that came from no file. It fills in defaults in a deep
// copy, validates that and computes its digest; later changes to d have no
// effect. Errors have the code service_invalid.
func New(d *Definition, source string) (*Loaded, error) {
	const op = "check service definition"
	c := *d
	c.Normalize()
	if err := c.Validate(); err != nil {
		return nil, code.New(op, code.ServiceInvalid, err)
	}
	canonical := Canonical(&c)
	own, err := parse(canonical, JSON)
	if err != nil {
		return nil, code.New(op, code.ServiceInvalid, err)
	}
	return &Loaded{Definition: own, Source: source, SHA256: digest(canonical)}, nil
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Facts gives what policy may know of a definition. Lists and maps are never nil.
func Facts(l *Loaded) admission.Service {
	d := l.Definition
	return admission.Service{
		Name:             d.ServiceName,
		BinaryPath:       d.BinaryPath,
		Root:             d.PerVersionBinaryDir,
		Isolation:        string(d.Isolation),
		ExplicitInstance: d.ExplicitInstance,
		MinVersion:       d.MinVersion,
		VersionAllowList: append([]string{}, d.VersionAllowList...),
		Labels:           cloneMap(d.Labels),
		Launch:           launchFacts(&d.Launch),
		Source:           l.Source,
		Path:             l.Path,
		OwnerUID:         l.OwnerUID,
		Mode:             l.Mode,
		SHA256:           l.SHA256,
	}
}

func launchFacts(l *Launch) admission.ServiceLaunch {
	f := admission.ServiceLaunch{
		Argv0:          l.Argv0,
		Dir:            l.Dir,
		PassEnv:        append([]string{}, l.PassEnv...),
		Probe:          string(l.Probe),
		ReadyTimeoutMS: l.ReadyTimeout.Milliseconds(),
		SettleMS:       l.Settle.Milliseconds(),
		Stderr:         l.Stderr,
	}
	if l.IdleTimeout != nil {
		secs := int64(l.IdleTimeout.Seconds())
		f.IdleTimeoutSecs = &secs
	}
	if l.Argv0 != "" {
		f.Comm = path.Base(l.Argv0)
	}
	return f
}

func cloneMap(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return maps.Clone(m)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
