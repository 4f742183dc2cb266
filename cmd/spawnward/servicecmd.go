package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/spawnward/spawnward/spawner/fswalk"
	"github.com/spawnward/spawnward/spawner/private"
	"github.com/spawnward/spawnward/spawner/service"
)

func (a *app) serviceCommands() []*command {
	var to string
	var replace bool
	return []*command{
		{
			name: "validate", args: "FILE...", short: "check definition files", example: "spawnward service validate redis.yaml",
			run: a.serviceValidate,
		},
		{
			name: "show", args: "SERVICE|FILE", short: "print a definition with every default filled in", example: "spawnward service show redis",
			flags: a.servicesFlag, run: a.serviceShow,
		},
		{
			name: "list", short: "list the services that are defined", example: "spawnward service list\n  spawnward service list --output name",
			names: true,
			flags: a.servicesFlag, run: a.serviceList,
		},
		{
			name: "convert", args: "FILE", short: "print a definition in another format", example: "spawnward service convert redis.yaml --to servicedef > redis.servicedef",
			flags: func(fs *pflag.FlagSet) { fs.StringVar(&to, "to", "yaml", "yaml, json or servicedef") },
			run:   func(_ context.Context, args []string) error { return a.serviceConvert(args, to) },
		},
		{
			name: "add", args: "FILE", short: "put a definition into the services directory", example: "spawnward service add redis.yaml",
			flags: func(fs *pflag.FlagSet) {
				a.servicesFlag(fs)
				fs.BoolVar(&replace, "replace", false, "replace the definition that is there")
			},
			run: func(_ context.Context, args []string) error { return a.serviceAdd(args, replace) },
		},
	}
}

func oneArg(verb string, args []string, what string) (string, error) {
	if len(args) != 1 {
		return "", usage(verb, "it takes one %s, not %d arguments", what, len(args))
	}
	return args[0], nil
}

func (a *app) serviceValidate(_ context.Context, args []string) error {
	if len(args) == 0 {
		return usage("service validate", "it takes at least one FILE")
	}
	type result struct {
		File    string `json:"file"`
		Service string `json:"service"`
		Valid   bool   `json:"valid"`
		Problem string `json:"problem"`
	}
	var results []result
	var errs []error
	for _, file := range args {
		d, err := service.ReadFile(file)
		if err != nil {
			errs = append(errs, err)
			results = append(results, result{File: file, Problem: err.Error()})
			continue
		}
		results = append(results, result{File: file, Service: d.ServiceName, Valid: true})
	}
	if a.flags.output == "json" {
		return errors.Join(append(errs, a.printJSON(results))...)
	}
	for _, r := range results {
		if r.Valid {
			if err := a.printf("%s: valid definition of %s\n", r.File, r.Service); err != nil {
				return err
			}
		}
	}
	return errors.Join(errs...)
}

// definitionOf takes a file's path or the name of a service.
func (a *app) definitionOf(arg string) (*service.Definition, error) {
	if _, isFile := service.FormatOf(arg); isFile || strings.ContainsRune(arg, filepath.Separator) {
		return service.ReadFile(arg)
	}
	dirs, err := a.dirs()
	if err != nil {
		return nil, err
	}
	l, err := service.Load(dirs, arg)
	if err != nil {
		return nil, err
	}
	return l.Definition, nil
}

func (a *app) dirs() (service.Dirs, error) {
	pinned, err := a.pinned()
	if err != nil {
		return service.Dirs{}, err
	}
	return a.serviceDirs(pinned)
}

func (a *app) serviceShow(_ context.Context, args []string) error {
	arg, err := oneArg("service show", args, "SERVICE or FILE")
	if err != nil {
		return err
	}
	d, err := a.definitionOf(arg)
	if err != nil {
		return err
	}
	if a.flags.output == "json" {
		return a.printJSON(d)
	}
	data, err := service.Marshal(d, service.YAML)
	if err != nil {
		return err
	}
	return a.printf("%s", data)
}

func (a *app) serviceList(_ context.Context, args []string) error {
	if len(args) != 0 {
		return usage("service list", "it takes no arguments")
	}
	dirs, err := a.dirs()
	if err != nil {
		return err
	}
	list, errs := service.List(dirs)
	if a.flags.output == "json" {
		type entry struct {
			Service string `json:"service"`
			Path    string `json:"path"`
			System  bool   `json:"system"`
		}
		out := []entry{}
		for _, e := range list {
			out = append(out, entry{e.Name, e.Path, e.System})
		}
		return errors.Join(append(errs, a.printJSON(out))...)
	}
	if a.flags.output == "name" {
		var b strings.Builder
		for _, e := range list {
			b.WriteString(e.Name + "\n")
		}
		return errors.Join(append(errs, a.printf("%s", b.String()))...)
	}
	if len(list) == 0 && len(errs) == 0 {
		return a.printf("no services are defined in %s\n", cmp.Or(dirs.User, dirs.System))
	}
	g := grid{head: []string{"SERVICE", "FILE"}, cut: []int{1}}
	for _, e := range list {
		g.rows = append(g.rows, []cell{{text: e.Name}, {e.Path, faint}})
	}
	return errors.Join(append(errs, a.printGrid(g))...)
}

func (a *app) serviceConvert(args []string, to string) error {
	file, err := oneArg("service convert", args, "FILE")
	if err != nil {
		return err
	}
	format, err := service.ParseFormat(to)
	if err != nil {
		return usage("service convert", "--to: %v", err)
	}
	d, err := service.ReadFile(file)
	if err != nil {
		return err
	}
	data, err := service.Marshal(d, format)
	if err != nil {
		return err
	}
	if format == service.ServiceDef {
		for _, lost := range service.Dropped(d) {
			if _, err := fmt.Fprintf(a.stderr, "spawnward: warning: %s has no place in a .servicedef file and is dropped\n", lost); err != nil {
				return err
			}
		}
	}
	_, err = a.stdout.Write(data)
	return err
}

func (a *app) serviceAdd(args []string, replace bool) error {
	file, err := oneArg("service add", args, "FILE")
	if err != nil {
		return err
	}
	format, ok := service.FormatOf(file)
	if !ok {
		return usage("service add", "%s: the name must end in .yaml, .yml, .json or .servicedef", file)
	}
	data, err := readLimited(file, service.MaxBytes)
	if err != nil {
		return err
	}
	d, err := service.Parse(data, format)
	if err != nil {
		return &service.FileError{Path: file, Err: err}
	}
	dirs, err := a.dirs()
	if err != nil {
		return err
	}
	if dirs.User == "" {
		return usage("service add", "%s pins the services directory to %s; put the file there as root", a.pinnedConfig, dirs.System)
	}
	old, err := existing(dirs.User, d.ServiceName)
	if err != nil {
		return err
	}
	if len(old) > 0 && !replace {
		return usage("service add", "%s defines %s already; --replace replaces it", filepath.Join(dirs.User, old[0]), d.ServiceName)
	}
	dir, err := private.Open(fswalk.NewIdentities(os.Geteuid()), filepath.Dir(dirs.User), filepath.Base(dirs.User))
	if err != nil {
		return err
	}
	defer dir.Close()
	// The text is kept as it was written, comments and all.
	name := d.ServiceName + filepath.Ext(file)
	if err := dir.Write(name, data); err != nil {
		return err
	}
	for _, o := range old {
		if o != name {
			if err := dir.Remove(o); err != nil {
				return err
			}
		}
	}
	added := filepath.Join(dir.Path(), name)
	if a.flags.output == "json" {
		return a.printJSON(map[string]string{"added": added})
	}
	return a.printf("added %s\n", added)
}

// existing lists the files that define a service in a directory, which need not
// be there.
func existing(dir, name string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if _, ok := service.FormatOf(e.Name()); ok && strings.TrimSuffix(e.Name(), filepath.Ext(e.Name())) == name {
			out = append(out, e.Name())
		}
	}
	return out, nil
}

func readLimited(path string, limit int64) ([]byte, error) {
	// A pipe must not make the command wait for its writer.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil, errors.Join(err, fmt.Errorf("%s: it is not a regular file", path))
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s: it has more than %d bytes", path, limit)
	}
	return data, nil
}
