package spawner

import (
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/endpoint"
	"github.com/spawnward/spawnward/spawner/fault"
	"github.com/spawnward/spawnward/spawner/fswalk"
	"github.com/spawnward/spawnward/spawner/wire"
)

// basePath is the PATH of every backend unless something later sets it.
const basePath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environment collects variables in layers, later ones winning, and remembers
// where each came from.
type environment map[string]admission.EnvVar

func (e environment) layer(origin string, vars map[string]string) {
	for name, value := range vars {
		e[name] = admission.EnvVar{Name: name, Value: value, Origin: origin}
	}
}

// list is sorted by name.
func (e environment) list() []admission.EnvVar {
	out := make([]admission.EnvVar, 0, len(e))
	for _, name := range slices.Sorted(maps.Keys(e)) {
		out = append(out, e[name])
	}
	return out
}

// baseline is what a login of the user would begin with.
func baseline(ids *fswalk.Identities) map[string]string {
	u, ok := ids.Self()
	if fault.Mutant("callers-shell") {
		u.Shell = os.Getenv("SHELL")
	}
	if !ok {
		uid := strconv.Itoa(ids.UID())
		return map[string]string{"USER": uid, "LOGNAME": uid, "HOME": "/", "SHELL": "/bin/sh", "PATH": basePath}
	}
	if u.Shell == "" {
		u.Shell = "/bin/sh"
	}
	return map[string]string{"USER": u.Name, "LOGNAME": u.Name, "HOME": u.Home, "SHELL": u.Shell, "PATH": basePath}
}

// passed takes the named variables that are set from the launcher's environment.
func passed(names []string, getenv func(string) (string, bool)) map[string]string {
	out := map[string]string{}
	for _, name := range names {
		if v, ok := getenv(name); ok {
			out[name] = v
		}
	}
	return out
}

// contract is what wire contract v1 gives to every backend that has an endpoint;
// a program without one gets the rest.
func contract(service, version, instance string, at endpoint.Endpoint, trace admission.Trace) map[string]string {
	out := map[string]string{
		wire.EnvServiceName:    service,
		wire.EnvServiceVersion: version,
		wire.EnvInstance:       instance,
		wire.EnvIsDaemon:       "1",
	}
	if at.Path != "" {
		out[wire.EnvBackendPipe], out[wire.EnvBackendNamespace] = at.Path, at.NamespaceID
	}
	if trace.Traceparent != "" && !fault.Mutant("drop-the-trace") || fault.Mutant("empty-trace") {
		out[wire.EnvTraceparent] = trace.Traceparent
	}
	if trace.Tracestate != "" {
		out[wire.EnvTracestate] = trace.Tracestate
	}
	return out
}

// envStrings is the form that execve takes.
func envStrings(vars []admission.EnvVar) []string {
	out := make([]string, len(vars))
	for i, v := range vars {
		out[i] = v.Name + "=" + v.Value
	}
	return out
}

func envFacts(vars []admission.EnvVar) admission.EnvFacts {
	f := admission.EnvFacts{Invalid: []string{}, Foreign: []admission.EnvVar{}}
	for _, v := range vars {
		f.Bytes += int64(len(v.Name) + len(v.Value) + 2)
		f.LargestValue = max(f.LargestValue, int64(len(v.Value)))
		if !validEnvName(v.Name) || strings.ContainsRune(v.Value, 0) || !utf8.ValidString(v.Value) {
			f.Invalid = append(f.Invalid, strconv.QuoteToASCII(v.Name))
		}
		if v.Origin != admission.OriginBaseline && v.Origin != admission.OriginContract {
			f.Foreign = append(f.Foreign, v)
		}
	}
	return f
}

func validEnvName(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}
