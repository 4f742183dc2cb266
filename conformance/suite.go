// Package conformance says what holds: for this launcher, for a policy that a
// team has edited, and for any other launcher.
//
// A case is one file of data (see [Case]): a private tree, a definition, what is
// asked of the launcher, and what must be seen afterwards. [Run] plays cases
// against real programs with real processes, sockets and files, each in a
// directory of its own, and [Report] tells what held. It starts nothing but the
// launcher, ends only processes that the cases' own definitions start, and leaves
// nothing behind.
//
// A launcher of another make is driven through one JSON request on standard input
// and one JSON answer on standard output; see [Request] and [Answer].
//
// # What runs where
//
// Linux is complete. On other systems every case is skipped with that reason.
// What needs root, an ordinary user, or a build with the tag faults is skipped
// where it is not to be had; a skipped case is never a passed one.
package conformance

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

//go:embed cases schema
var files embed.FS

// Load reads the cases of the suite whose id, or an entry of whose requires,
// matches the pattern, in which * stands for anything; "" is all of them.
func Load(only string) ([]*Case, error) { return loadFrom(files, "cases", only) }

func loadFrom(from fs.FS, dir, only string) ([]*Case, error) {
	var cases []*Case
	seen := map[string]string{}
	err := fs.WalkDir(from, dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(name) != ".yaml" {
			return err
		}
		data, err := fs.ReadFile(from, name)
		if err != nil {
			return err
		}
		c, err := Decode(data)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		c.File = name
		if base := strings.TrimSuffix(path.Base(name), ".yaml"); base != c.ID {
			return fmt.Errorf("%s: the id is %q, but the file's name %q", name, c.ID, base)
		}
		if other := seen[c.ID]; other != "" {
			return fmt.Errorf("%s: the id is that of %s", name, other)
		}
		seen[c.ID] = name
		if c.matches(only) {
			cases = append(cases, c)
		}
		return nil
	})
	return cases, err
}

func (c *Case) matches(only string) bool {
	if only == "" {
		return true
	}
	return slices.ContainsFunc(append([]string{c.ID}, c.Requires...), func(s string) bool {
		ok, err := path.Match(only, s)
		return ok && err == nil
	})
}
