package conformance

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spawnward/spawnward/conformance/scripted"
)

// compareProcess looks at what the backend, in the part print, saw of itself.
func (p *play) compareProcess(want *Process) {
	data, err := os.ReadFile(p.saw())
	if err != nil {
		p.miss("the backend wrote no report: %v", err)
		return
	}
	var got scripted.Report
	if err := json.Unmarshal(data, &got); err != nil {
		p.miss("the backend's report: %v", err)
		return
	}
	p.compareEnvironment(want, got.Environ)
	same := func(what, got, want string) {
		if want != "" && !p.equal(got, want) {
			p.miss("the backend's %s is %q, not %q", what, got, p.text(want))
		}
	}
	argv0, args := "", []string{}
	if len(got.Args) > 0 {
		argv0, args = got.Args[0], got.Args[1:]
	}
	same("argv[0]", argv0, want.Argv0)
	same("name", got.Comm, want.Comm)
	same("executable", got.Exe, want.Exe)
	same("directory", got.Dir, want.Dir)
	if want.Args != nil {
		var expected []string
		for _, a := range want.Args {
			expected = append(expected, p.text(a))
		}
		if !slices.Equal(args, expected) {
			p.miss("the backend's arguments are %q, not %q", args, expected)
		}
	}
	if want.NewSession && (got.Session != got.PID || got.Group != got.PID) {
		p.miss("the backend's session is %d and its group %d; they should be its own, %d", got.Session, got.Group, got.PID)
	}
	if want.NoTerminal && got.TTY != 0 {
		p.miss("the backend has the controlling terminal %d", got.TTY)
	}
	p.compareDescriptors(want, got.Descriptors)
	for _, name := range sortedKeys(want.Status) {
		if !p.equal(got.Status[name], want.Status[name]) {
			p.miss("the backend's %s is %q, not %q", name, got.Status[name], want.Status[name])
		}
	}
}

func (p *play) compareEnvironment(want *Process, environ []string) {
	env := map[string]string{}
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		if _, twice := env[name]; twice {
			p.miss("the backend has the variable %s twice", name)
		}
		env[name] = value
	}
	for _, name := range sortedKeys(want.Env) {
		value, there := env[name]
		if expected := want.Env[name]; !there || !p.equal(value, expected) {
			p.miss("the backend's variable %s is %q, not %q", name, value, p.text(expected))
		}
	}
	for _, name := range want.EnvAbsent {
		if value, there := env[name]; there {
			p.miss("the backend has the variable %s, as %q", name, value)
		}
	}
	for _, unwanted := range want.EnvLacks {
		for name, value := range env {
			if strings.Contains(value, unwanted) {
				p.miss("the backend's variable %s has %q in %q", name, unwanted, value)
			}
		}
	}
	if want.EnvNames != nil {
		p.sameCodes("the backend's variables", slices.Collect(maps.Keys(env)), want.EnvNames)
	}
}

func (p *play) compareDescriptors(want *Process, got map[int]string) {
	if want.Descriptors == nil {
		return
	}
	for n, target := range got {
		own := strings.HasPrefix(target, "anon_inode:[event") || strings.HasPrefix(target, "/sys/fs/cgroup/") // the language's runtime
		if _, expected := want.Descriptors[n]; !expected && !own {
			p.miss("the backend has the descriptor %d, %s", n, target)
		}
	}
	for n, target := range want.Descriptors {
		if !p.equal(got[n], target) {
			p.miss("the backend's descriptor %d is %q, not %q", n, got[n], p.text(target))
		}
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
