package service

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/fault"
	"github.com/spawnward/spawnward/spawner/nearest"
)

// Load finds, reads and checks the definition of a service. It is read anew at
// every call. Error codes: service_name_invalid for a name that no service can
// have, service_unknown when there is no definition, directory_unsafe for a
// directory that is not to be trusted, service_invalid for everything that is
// wrong with the definition's file.
func Load(dirs Dirs, name string) (*Loaded, error) {
	op := "load service " + quoteShort(name)
	if err := ValidName(name); err != nil {
		return nil, code.New(op, code.ServiceNameInvalid, err)
	}
	op = "load service " + name
	for _, p := range dirs.places(os.Geteuid()) {
		l, err := loadFrom(p, name)
		switch {
		case err == nil:
			return l, nil
		case !errors.Is(err, errNotThere):
			return nil, code.New(op, codeOf(err), err)
		}
	}
	return nil, code.New(op, code.ServiceUnknown, unknown(dirs, name))
}

// errNotThere says that a directory, or a definition in it, does not exist.
var errNotThere = errors.New("it does not exist")

// unsafeError is about a directory, not about a definition.
type unsafeError struct{ err error }

func (e *unsafeError) Error() string { return e.err.Error() }
func (e *unsafeError) Unwrap() error { return e.err }

func codeOf(err error) code.Code {
	var dir *unsafeError
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return code.Unsupported
	case errors.As(err, &dir):
		return code.DirectoryUnsafe
	}
	return code.ServiceInvalid
}

func loadFrom(p place, name string) (*Loaded, error) {
	dir, err := openDir(p)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	base, err := dir.find(name)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(p.path, base)
	l, data, err := dir.read(base)
	if err != nil {
		return nil, &FileError{Path: path, Err: err}
	}
	format, _ := FormatOf(base)
	l.Definition, err = parseNamed(data, format, name)
	if err != nil {
		return nil, &FileError{Path: path, Err: err}
	}
	l.Source, l.Path, l.Dir, l.SHA256 = SourceFile, path, p.path, digest(data)
	return l, nil
}

// parseNamed parses a definition that stands in a file with a service's name.
func parseNamed(data []byte, f Format, name string) (*Definition, error) {
	d, err := parse(data, f)
	if err != nil {
		return nil, err
	}
	if d.ServiceName != name && !fault.Mutant("any-name-in-file") {
		return nil, &Problem{Field: "service_name", Message: fmt.Sprintf("it is %q, but the file is named for %q; make them equal", d.ServiceName, name)}
	}
	return d, nil
}

// FileError says which definition file an error is about.
type FileError struct {
	Path string
	Err  error
}

// Error gives the path and the problem, or the problems on a line each.
func (e *FileError) Error() string {
	lines := strings.Split(e.Err.Error(), "\n")
	if len(lines) == 1 {
		return e.Path + ": " + lines[0]
	}
	return fmt.Sprintf("%s: %d problems:\n  %s", e.Path, len(lines), strings.Join(lines, "\n  "))
}

// Unwrap returns the problem.
func (e *FileError) Unwrap() error { return e.Err }

// find gives the name of the one file that holds a service's definition.
func (d *dir) find(name string) (string, error) {
	var found []string
	for _, ext := range extensions() {
		switch err := d.lstat(name + ext); {
		case err == nil:
			found = append(found, name+ext)
		case !errors.Is(err, fs.ErrNotExist):
			return "", &unsafeError{fmt.Errorf("look for %s: %w", filepath.Join(d.path, name+ext), err)}
		}
	}
	switch len(found) {
	case 0:
		return "", errNotThere
	case 1:
		return found[0], nil
	}
	return "", severalFiles(d.path, found)
}

func severalFiles(dir string, bases []string) error {
	return fmt.Errorf("%s: %s are definitions of one service; keep one of them", dir, strings.Join(bases, " and "))
}

// unknown says where a service was looked for and which one may be meant.
func unknown(dirs Dirs, name string) error {
	var looked []string
	for _, p := range dirs.places(os.Geteuid()) {
		looked = append(looked, p.path)
	}
	if len(looked) == 0 {
		return errors.New("there is no services directory; name one with --services")
	}
	entries, _ := List(dirs)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name)
	}
	return fmt.Errorf("there is no definition of %q in %s%s", name, strings.Join(looked, " or "), nearest.Hint(name, names))
}

// Entry is a definition that stands in a directory. Its content was not read.
type Entry struct {
	Name   string
	Path   string
	Format Format
	// System: it stands in the system's directory, and wins over the user's.
	System bool
}

// List names the services that have a definition, sorted by name, one entry a
// service: the one that [Load] would read. Errors tell of directories that
// cannot be used and of files that [Load] would refuse by their names alone;
// files with another extension are passed over.
func List(dirs Dirs) ([]Entry, []error) {
	var entries []Entry
	var errs []error
	seen := map[string]bool{}
	for _, p := range dirs.places(os.Geteuid()) {
		names, err := namesIn(p)
		if err != nil {
			if !errors.Is(err, errNotThere) {
				errs = append(errs, code.New("list services", codeOf(err), err))
			}
			continue
		}
		found, bad := entriesOf(p, names)
		for _, e := range found {
			if !seen[e.Name] {
				entries = append(entries, e)
			}
		}
		for _, e := range found {
			seen[e.Name] = true
		}
		errs = append(errs, bad...)
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return entries, errs
}

func namesIn(p place) ([]string, error) {
	dir, err := openDir(p)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return dir.names()
}

func entriesOf(p place, bases []string) (entries []Entry, errs []error) {
	slices.Sort(bases)
	files := map[string][]string{}
	for _, base := range bases {
		if _, ok := FormatOf(base); !ok {
			continue
		}
		name := serviceOf(base)
		if err := ValidName(name); err != nil {
			errs = append(errs, code.New("list services", code.ServiceInvalid, &FileError{Path: filepath.Join(p.path, base), Err: err}))
			continue
		}
		files[name] = append(files[name], base)
	}
	for _, name := range sortedKeys(files) {
		if len(files[name]) > 1 {
			errs = append(errs, code.New("list services", code.ServiceInvalid, severalFiles(p.path, files[name])))
			continue
		}
		format, _ := FormatOf(files[name][0])
		entries = append(entries, Entry{Name: name, Path: filepath.Join(p.path, files[name][0]), Format: format, System: p.system})
	}
	return entries, errs
}

// ReadFile reads and checks a definition from any file, for people who look at
// one: it trusts no directory and says nothing about owners, so nothing may be
// launched from its result. Its service name must be the file's base name.
// Errors have the code service_invalid.
func ReadFile(path string) (*Definition, error) {
	d, err := readAnyFile(path)
	if err != nil {
		return nil, code.New("read service definition", code.ServiceInvalid, &FileError{Path: path, Err: err})
	}
	return d, nil
}

func readAnyFile(path string) (*Definition, error) {
	format, ok := FormatOf(path)
	if !ok {
		return nil, fmt.Errorf("its name must end in one of %s", strings.Join(extensions(), ", "))
	}
	f, err := os.OpenFile(path, os.O_RDONLY|openNonblock, 0)
	if err != nil {
		return nil, cause(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, cause(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no regular file")
	}
	data, err := readAll(f, info.Size())
	if err != nil {
		return nil, err
	}
	return parseNamed(data, format, serviceOf(path))
}

// readAll reads a file of at most MaxBytes, also when it grows meanwhile.
func readAll(r io.Reader, size int64) ([]byte, error) {
	if size > MaxBytes {
		return nil, fmt.Errorf("it is %d bytes long; the limit is %d", size, MaxBytes)
	}
	data, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return nil, cause(err)
	}
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("it is longer than the limit of %d bytes", MaxBytes)
	}
	return data, nil
}

// cause is the system's reason without the path, which stands elsewhere.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
