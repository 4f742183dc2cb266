package conformance

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// site is the policy that a security team wants to be judged; nil is the embedded
// library alone.
type site struct {
	dir  string
	data map[string]any
	name string // of the data file
}

func readSite(dir string) (*site, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	st, err := os.Stat(abs)
	if err != nil {
		return nil, err
	}
	s := &site{dir: abs, data: map[string]any{}, name: "data.yaml"}
	if !st.IsDir() {
		return s, nil // a bundle in one file: cases with settings of their own are skipped
	}
	for _, name := range []string{"data.yaml", "data.json"} {
		text, err := os.ReadFile(filepath.Join(abs, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		s.name = name
		if strings.HasSuffix(name, ".json") {
			err = json.Unmarshal(text, &s.data)
		} else {
			err = yaml.Unmarshal(text, &s.data)
		}
		// What cannot be read is for the launcher to refuse.
		if err != nil || s.data == nil {
			s.data = map[string]any{}
		}
	}
	return s, nil
}

func (s *site) path() string {
	if s == nil {
		return ""
	}
	return s.dir
}

// bundle reports whether the site is one file, into which nothing can be laid.
func (s *site) bundle() bool {
	if s == nil {
		return false
	}
	st, err := os.Stat(s.dir)
	return err == nil && !st.IsDir()
}

// layUnder writes the site to dir with the case's data over its own.
func (s *site) layUnder(dir string, data map[string]any, raw string) error {
	all := map[string]any{}
	if s != nil {
		if err := s.copyTo(dir); err != nil {
			return err
		}
		all = clone(s.data)
	}
	if raw != "" {
		return writeFile(filepath.Join(dir, "data.yaml"), []byte(raw), 0o644)
	}
	merge(all, data)
	if len(all) == 0 {
		return nil
	}
	text, err := yaml.Marshal(all)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, "data.yaml"), text, 0o644)
}

func (s *site) copyTo(dir string) error {
	return filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(s.dir, path)
		if err != nil || name == s.name {
			return err
		}
		to := filepath.Join(dir, name)
		switch {
		case d.IsDir():
			return os.MkdirAll(to, 0o755)
		case d.Type()&fs.ModeSymlink != 0:
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(link, to)
		}
		return copyFile(to, path, "", 0o644)
	})
}
