package service

import (
	"fmt"
	"strings"
)

// Vars are the values of the names that a definition may use. A name whose
// value is empty cannot be used.
type Vars struct {
	Endpoint    string // ${endpoint}: the path of the backend's socket
	EndpointDir string // ${endpoint_dir}: the directory that holds it
	RunDir      string // ${run_dir}: the private directory of generated files
	Service     string // ${service}
	Version     string // ${version}
	Instance    string // ${instance}: "private:redis"
}

const varNames = "${endpoint}, ${endpoint_dir}, ${run_dir}, ${service}, ${version}, ${instance}"

func (v Vars) get(name string) (value string, known bool) {
	switch name {
	case "endpoint":
		return v.Endpoint, true
	case "endpoint_dir":
		return v.EndpointDir, true
	case "run_dir":
		return v.RunDir, true
	case "service":
		return v.Service, true
	case "version":
		return v.Version, true
	case "instance":
		return v.Instance, true
	}
	return "", false
}

// Expand replaces the names in s; "$$" is a dollar sign. Anything else that
// begins with a dollar sign is an error that names its place, and so is a name
// that has no value. No shell is involved and values are not expanded again.
func Expand(s string, v Vars) (string, error) {
	var out strings.Builder
	err := scan(s, func(text, name string) error {
		out.WriteString(text)
		if name == "" {
			return nil
		}
		value, _ := v.get(name)
		if value == "" {
			return fmt.Errorf("${%s} has no value in this launch", name)
		}
		out.WriteString(value)
		return nil
	})
	return out.String(), err
}

// scan splits s into literal texts, each followed by a known name or by "".
func scan(s string, part func(text, name string) error) error {
	rest := s
	for {
		text, tail, found := strings.Cut(rest, "$")
		if !found {
			return part(text, "")
		}
		at := len(s) - len(tail) // 1-based place of the dollar sign
		if strings.HasPrefix(tail, "$") {
			if err := part(text+"$", ""); err != nil {
				return err
			}
			rest = tail[1:]
			continue
		}
		name, after, closed := strings.Cut(strings.TrimPrefix(tail, "{"), "}")
		if !strings.HasPrefix(tail, "{") || !closed {
			return fmt.Errorf("the '$' at byte %d begins no name; write $$ for a dollar sign, or one of %s", at, varNames)
		}
		if _, known := (Vars{}).get(name); !known {
			return fmt.Errorf("${%s} at byte %d is not a name; use %s, or $$ for a dollar sign", shorten(name), at, varNames)
		}
		if err := part(text, name); err != nil {
			return err
		}
		rest = after
	}
}

func checkNames(s string) error {
	return scan(s, func(string, string) error { return nil })
}

func shorten(s string) string {
	q := quoteShort(s)
	return strings.Trim(q, `"`)
}

// Expanded holds the parts of a definition in which names are replaced, with
// the names replaced.
type Expanded struct {
	Args  []string
	Dir   string
	Env   map[string]string
	Files []File
}

// Expand replaces the names in args, dir, env and files. The error joins every
// [*Problem] that was found.
func (d *Definition) Expand(v Vars) (Expanded, error) {
	var ps problems
	e := d.Launch.mapTexts(func(field, text string) string {
		s, err := Expand(text, v)
		if err != nil {
			ps.add(0, field, "%v", err)
		}
		return s
	})
	if len(ps.list) == 0 && !strings.HasPrefix(e.Dir, "/") {
		ps.add(0, "launch.dir", "%s is not an absolute path after its names are replaced", quoteShort(e.Dir))
	}
	return e, ps.err()
}

// Uses reports whether args, dir, env or files mention a name, given without
// "${" and "}".
func (d *Definition) Uses(name string) bool {
	used := false
	d.Launch.mapTexts(func(_, text string) string {
		_ = scan(text, func(_, n string) error {
			used = used || n == name
			return nil
		})
		return ""
	})
	return used
}

// mapTexts applies f to every text in which names are replaced.
func (l *Launch) mapTexts(f func(field, text string) string) Expanded {
	e := Expanded{Dir: f("launch.dir", l.Dir), Env: make(map[string]string, len(l.Env))}
	for i, arg := range l.Args {
		e.Args = append(e.Args, f(fmt.Sprintf("launch.args[%d]", i), arg))
	}
	for _, name := range sortedKeys(l.Env) {
		e.Env[name] = f("launch.env."+shorten(name), l.Env[name])
	}
	for i, file := range l.Files {
		file.Content = f(fmt.Sprintf("launch.files[%d].content", i), file.Content)
		e.Files = append(e.Files, file)
	}
	return e
}
