package service

import (
	"fmt"
	"math"
	"path"
	"strings"
	"time"
)

// maxComponent is NAME_MAX of Linux, in bytes.
const maxComponent = 255

func (v validator) launch(l *Launch, binary string) {
	if v.count("launch.args", len(l.Args), maxArgs) {
		for i, arg := range l.Args {
			if len(arg) > maxArg {
				v.bad(fmt.Sprintf("launch.args[%d]", i), "it is %d bytes long; the limit is %d", len(arg), maxArg)
			}
		}
	}
	v.dir(l.Dir)
	v.env(l)
	l.mapTexts(func(field, text string) string {
		v.err(field, checkNames(text))
		return ""
	})
	switch l.Probe {
	case ProbeIdentity, ProbePeer, ProbeNotify:
	default:
		v.bad("launch.probe", "%s is not a probe; use %s, %s or %s", quoteShort(string(l.Probe)), ProbeIdentity, ProbePeer, ProbeNotify)
	}
	v.duration("launch.ready_timeout", l.ReadyTimeout, MaxReadyTimeout)
	v.duration("launch.settle", l.Settle, MaxSettle)
	if idle := l.IdleTimeout; idle != nil && (*idle < time.Second || *idle > maxIdle || *idle%time.Second != 0) {
		v.bad("launch.idle_timeout", "%s is not a number of whole seconds from 1s to %d; write it like 30s, or none", durationText(*idle), int64(maxIdle/time.Second))
	}
	if l.Argv0 != "" {
		v.path("launch.argv0", l.Argv0)
		// The process is named by the last component. A binary path that ends in
		// none is for policy to judge.
		if name := path.Base(l.Argv0); l.Argv0 != binary && (name == "/" || name == "." || name == ".." || len(name) > maxComponent) {
			v.bad("launch.argv0", "%s does not end in a name of at most %d bytes", quoteShort(l.Argv0), maxComponent)
		}
	}
	if l.Stderr != StderrNull && l.Stderr != StderrTail {
		if !strings.HasPrefix(l.Stderr, "/") {
			v.bad("launch.stderr", "%s is neither %q, %q nor an absolute path", quoteShort(l.Stderr), StderrNull, StderrTail)
		} else {
			v.path("launch.stderr", l.Stderr)
		}
	}
	v.files(l.Files)
	v.hooks(l.Hooks)
	v.confine(&l.Confine)
}

func (v validator) dir(dir string) {
	for _, name := range []string{"${run_dir}", "${endpoint_dir}"} {
		if rest, ok := strings.CutPrefix(dir, name); ok && (rest == "" || rest[0] == '/') {
			dir = "/" + rest
			break
		}
	}
	v.path("launch.dir", dir)
}

// duration checks a positive length of time in whole milliseconds, the unit in
// which policy sees it.
func (v validator) duration(field string, d, limit time.Duration) {
	if d < time.Millisecond || d > limit || d%time.Millisecond != 0 {
		v.bad(field, "%s is not a number of whole milliseconds from 1ms to %s", durationText(d), durationText(limit))
	}
}

func (v validator) env(l *Launch) {
	if v.count("launch.env", len(l.Env), maxEnv) {
		for _, name := range sortedKeys(l.Env) {
			v.envName("launch.env."+shorten(name), name)
			if n := len(l.Env[name]); n > maxArg {
				v.bad("launch.env."+shorten(name), "the value is %d bytes long; the limit is %d", n, maxArg)
			}
		}
	}
	if !v.count("launch.pass_env", len(l.PassEnv), maxEnv) {
		return
	}
	seen := map[string]bool{}
	for i, name := range l.PassEnv {
		field := fmt.Sprintf("launch.pass_env[%d]", i)
		v.envName(field, name)
		if seen[name] {
			v.bad(field, "%s is listed twice", quoteShort(name))
		}
		seen[name] = true
	}
}

func (v validator) envName(field, name string) {
	if !validEnvName(name) {
		v.bad(field, "%s is not the name of a variable; use letters, digits and '_', not beginning with a digit", quoteShort(name))
	}
}

func validEnvName(name string) bool {
	if name == "" || len(name) > 256 || name[0] >= '0' && name[0] <= '9' {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && !(r >= '0' && r <= '9') && !(r >= 'A' && r <= 'Z') && !(r >= 'a' && r <= 'z')
	})
}

func (v validator) files(files []File) {
	if !v.count("launch.files", len(files), maxFiles) {
		return
	}
	seen := map[string]bool{}
	for i, f := range files {
		field := fmt.Sprintf("launch.files[%d].name", i)
		switch {
		case f.Name == "":
			v.bad(field, "a file needs a name")
		case f.Name == "." || f.Name == ".." || strings.ContainsRune(f.Name, '/'):
			v.bad(field, "%s is not a single path component; the file stands directly in ${run_dir}", quoteShort(f.Name))
		case len(f.Name) > maxComponent || strings.ContainsFunc(f.Name, isControl):
			v.bad(field, "%s is not a good file name; use at most %d bytes and no control characters", quoteShort(f.Name), maxComponent)
		case seen[f.Name]:
			v.bad(field, "%s is listed twice", quoteShort(f.Name))
		}
		seen[f.Name] = true
	}
}

func (v validator) hooks(hooks []Hook) {
	if !v.count("launch.hooks", len(hooks), maxHooks) {
		return
	}
	seen := map[string]bool{}
	for i, h := range hooks {
		field := fmt.Sprintf("launch.hooks[%d].", i)
		v.err(field+"name", ValidName(h.Name))
		if seen[h.Name] {
			v.bad(field+"name", "%s is listed twice", quoteShort(h.Name))
		}
		seen[h.Name] = true
		if h.Path == "" || len(h.Path) > maxPath || path.Clean(h.Path) != h.Path || h.Path == ".." || strings.HasPrefix(h.Path, "../") {
			v.bad(field+"path", "%s is not a plain path; write it absolute, or relative to the definition's directory and below it", quoteShort(h.Path))
		}
		if len(h.SHA256) != 64 || strings.Trim(h.SHA256, "0123456789abcdef") != "" {
			v.bad(field+"sha256", "%s is not a digest; write 64 lower-case hexadecimal digits", quoteShort(h.SHA256))
		}
		for _, key := range sortedKeys(h.Config) {
			v.config(field+"config."+shorten(key), h.Config[key], 0)
		}
	}
}

// config checks that a value of a hook's configuration can be written down.
func (v validator) config(field string, value any, depth int) {
	if depth > maxDepth {
		v.bad(field, "values are nested deeper than %d", maxDepth)
		return
	}
	switch value := value.(type) {
	case nil, bool, string, int64:
	case float64:
		if math.IsInf(value, 0) || math.IsNaN(value) {
			v.bad(field, "%v is not a finite number", value)
		}
	case []any:
		for i, item := range value {
			v.config(fmt.Sprintf("%s[%d]", field, i), item, depth+1)
		}
	case map[string]any:
		for _, key := range sortedKeys(value) {
			v.config(field+"."+shorten(key), value[key], depth+1)
		}
	default:
		v.bad(field, "a value of type %T cannot be written down; use string, bool, int64, float64, nil, []any or map[string]any", value)
	}
}
