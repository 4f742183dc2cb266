package conformance

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// site is where the run keeps what its cases share.
type ground struct {
	dir     string // of the run; every case has a directory below it
	program string // the command, which is also the scripted backend
	backend string // a copy of it, installed for all cases
	appRoot string
}

// newGround makes a directory with a short name: the path of a socket below it
// has to fit into 108 bytes.
func newGround(temp, program string) (*ground, error) {
	dir, err := shortDir(temp)
	if err != nil {
		return nil, err
	}
	g := &ground{dir: dir, program: program}
	g.appRoot = filepath.Join(dir, "0", "opt", "app")
	g.backend = filepath.Join(g.appRoot, "bin", "backend")
	err = os.Chmod(dir, 0o711)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(g.backend), 0o755)
	}
	if err == nil {
		err = copyFile(g.backend, program, "", 0o755)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return g, nil
}

// shortDir makes a directory with a name of seven letters.
func shortDir(temp string) (string, error) {
	for {
		raw := make([]byte, 4)
		if _, err := rand.Read(raw); err != nil {
			return "", err
		}
		dir := filepath.Join(temp, "sc"+strconv.FormatUint(uint64(binary.LittleEndian.Uint32(raw))%(36*36*36*36*36), 36))
		if err := os.Mkdir(dir, 0o711); !errors.Is(err, fs.ErrExist) {
			return dir, err
		}
	}
}

// tree is the private world of one case.
type tree struct {
	*ground
	c    *Case
	root string
}

func (g *ground) newTree(c *Case, n int) (*tree, error) {
	t := &tree{ground: g, c: c, root: filepath.Join(g.dir, strconv.FormatInt(int64(n+1), 36))}
	for _, dir := range []string{"", "home", "r", "s", "d"} {
		mode := os.FileMode(0o700)
		if dir == "" {
			mode = 0o755
		}
		path := filepath.Join(t.root, dir)
		if err := os.Mkdir(path, mode); err != nil {
			return nil, err
		}
		if c.As != 0 && dir != "" {
			if err := os.Lchown(path, c.As, c.As); err != nil {
				return nil, err
			}
		}
	}
	// Definitions name digests of files; owners and modes may be those of
	// definitions.
	var files, attributes []File
	for _, f := range c.Setup.Files {
		if f.attributesOnly() {
			attributes = append(attributes, f)
		} else {
			files = append(files, f)
		}
	}
	if err := t.make(files); err != nil {
		return t, err
	}
	if err := t.definitions(); err != nil {
		return t, err
	}
	return t, t.make(attributes)
}

// Directories of a tree.
func (t *tree) stateHome() string { return filepath.Join(t.root, "s") }
func (t *tree) runtime() string   { return filepath.Join(t.root, "r") }
func (t *tree) services() string  { return filepath.Join(t.root, "d") }
func (t *tree) policy() string    { return filepath.Join(t.root, "policy") }
func (t *tree) pids() string      { return filepath.Join(t.root, "home", "pids") }
func (t *tree) saw() string       { return filepath.Join(t.root, "home", "saw") }

// path is below the tree unless it is absolute.
func (t *tree) path(p string) string {
	if p = t.text(p); filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(t.root, p)
}

// text replaces the suite's own names; the launcher's ${…} are left alone.
func (t *tree) text(s string) string {
	if !strings.Contains(s, "${") {
		return s
	}
	s = strings.NewReplacer(
		"${root}", t.root, "${backend}", t.backend, "${approot}", t.appRoot, "${program}", t.program,
		"${pids}", t.pids(), "${saw}", t.saw(), "${uid}", strconv.Itoa(t.uid()),
	).Replace(s)
	s = generated(s)
	for {
		before, rest, found := strings.Cut(s, "${sha256:")
		if !found {
			return s
		}
		name, after, found := strings.Cut(rest, "}")
		if !found {
			return s
		}
		s = before + t.digest(name) + after
	}
}

// generated replaces ${N} by N letters and ${bytes:HH} by those bytes, which YAML
// cannot hold.
func generated(s string) string {
	return regexp.MustCompile(`\$\{([0-9]+|bytes:[0-9a-f]+)\}`).ReplaceAllStringFunc(s, func(found string) string {
		inner := found[2 : len(found)-1]
		if digits, ok := strings.CutPrefix(inner, "bytes:"); ok {
			raw, err := hex.DecodeString(digits)
			if err != nil {
				return found
			}
			return string(raw)
		}
		n, err := strconv.Atoi(inner)
		if err != nil || n > 1<<20 {
			return found
		}
		return strings.Repeat("x", n)
	})
}

func (t *tree) uid() int {
	if t.c.As != 0 {
		return t.c.As
	}
	return os.Geteuid()
}

// digest of a file; one that is missing has none, and the case shows that.
func (t *tree) digest(name string) string {
	if name == "backend" {
		name = t.backend
	}
	f, err := os.Open(t.path(name))
	if err != nil {
		return "no-such-file"
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "no-such-file"
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// replaced applies text to every text in a value that YAML gave.
func (t *tree) replaced(v any) any {
	switch v := v.(type) {
	case string:
		return t.text(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = t.replaced(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, value := range v {
			out[t.text(key)] = t.replaced(value)
		}
		return out
	}
	return v
}

// definitions writes what may serve a name.
func (t *tree) definitions() error {
	if t.c.Undefined {
		return nil
	}
	for _, own := range append([]map[string]any{t.c.Service}, t.c.Others...) {
		d := t.definition(own)
		name, _ := d["service_name"].(string)
		data, err := yaml.Marshal(d)
		if err != nil {
			return err
		}
		path := filepath.Join(t.services(), name+".yaml")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return err
		}
		if t.c.As != 0 {
			if err := os.Lchown(path, t.c.As, t.c.As); err != nil {
				return err
			}
		}
	}
	return nil
}

// definition fills in what most cases have in common. A field that is null is
// left out.
func (t *tree) definition(own map[string]any) map[string]any {
	part := t.c.Part
	if part == "" {
		part = "good"
	}
	args := []any{"scripted-backend"}
	for _, word := range strings.Fields(t.text(part)) {
		args = append(args, word)
	}
	args = append(args, "--pids="+t.pids())
	if strings.HasPrefix(part, "print") {
		args = append(args, "--out="+t.saw())
	}
	d := map[string]any{
		"service_name": "demo", "binary_path": t.backend, "per_version_binary_dir": t.appRoot,
		"launch": map[string]any{"args": args},
	}
	given, _ := t.replaced(own).(map[string]any)
	merge(d, given)
	return d
}

// merge puts what is given over what is there, mapping by mapping.
func merge(into, given map[string]any) {
	for key, value := range given {
		inner, isMap := value.(map[string]any)
		there, wasMap := into[key].(map[string]any)
		switch {
		case value == nil:
			delete(into, key)
		case isMap && wasMap:
			there = maps.Clone(there)
			merge(there, inner)
			into[key] = there
		default:
			into[key] = value
		}
	}
}

// clone is deep for mappings.
func clone(m map[string]any) map[string]any {
	out := map[string]any{}
	for key, value := range m {
		if inner, ok := value.(map[string]any); ok {
			value = clone(inner)
		}
		out[key] = value
	}
	return out
}

// remove takes the tree away, also what has no permissions left.
func (t *tree) remove() error {
	_ = filepath.WalkDir(t.root, func(path string, d os.DirEntry, err error) error {
		if d != nil && d.IsDir() && err == nil {
			_ = os.Chmod(path, 0o700) // #nosec: our own directory, about to go
		}
		return nil
	})
	return os.RemoveAll(t.root)
}

// spawned lists the processes that backends noted, "PART PID" a line. Those that
// a launcher started are not copies.
func (t *tree) spawned() (launched, all []int) {
	data, err := os.ReadFile(t.pids())
	if err != nil {
		return nil, nil
	}
	for line := range strings.Lines(string(data)) {
		part, number, _ := strings.Cut(strings.TrimSpace(line), " ")
		pid, err := strconv.Atoi(number)
		if err != nil {
			continue
		}
		all = append(all, pid)
		if !strings.HasPrefix(part, "copy-") {
			launched = append(launched, pid)
		}
	}
	return launched, all
}

// sockets and other files of a directory, as paths.
func filesBelow(dir string, keep func(path string, d os.DirEntry) bool) []string {
	var out []string
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && keep(path, d) {
			out = append(out, path)
		}
		return nil
	})
	slices.Sort(out)
	return out
}

func (t *tree) socketFiles() []string {
	return filesBelow(t.runtime(), func(_ string, d os.DirEntry) bool { return d.Type()&os.ModeSocket != 0 })
}

// recordFiles are those of backends, by their form as JSON with a phase.
func (t *tree) recordFiles() []string {
	return filesBelow(t.stateHome(), func(path string, d os.DirEntry) bool {
		if !d.Type().IsRegular() || !strings.HasSuffix(path, ".json") {
			return false
		}
		data, err := os.ReadFile(path)
		return err == nil && strings.Contains(string(data), `"phase"`)
	})
}

func (t *tree) runDirs() []string {
	return filesBelow(t.stateHome(), func(path string, d os.DirEntry) bool {
		parent := filepath.Base(filepath.Dir(path))
		return d.IsDir() && (parent == "run" || parent == "link")
	})
}

// left lists everything that a launch which came to nothing must not leave.
func (t *tree) left() []string {
	left := slices.Concat(t.socketFiles(), t.recordFiles(), t.runDirs())
	for _, pid := range t.alive() {
		left = append(left, fmt.Sprintf("process %d", pid))
	}
	return left
}
