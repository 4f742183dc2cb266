package policy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/spawnward/spawnward/spawner/private"
)

// readDirectory reads the files of a site's directory. Nobody but root and the
// effective user may be able to write it, anything in it, or a directory above
// it, and it holds no links. Tests decide nothing and are read only when they
// are asked for. A path that is no directory is ENOTDIR.
func readDirectory(dir string, tests bool) ([]source, error) {
	tree, err := private.OpenTree(os.Geteuid(), dir)
	if errors.Is(err, syscall.ENOTDIR) {
		return nil, err
	}
	if err != nil {
		return nil, invalidFile(dir, err)
	}
	defer tree.Close()
	r := &directoryReader{tree: tree, tests: tests}
	if err := fs.WalkDir(tree.FS(), ".", r.visit); err != nil {
		return nil, placed(dir, err)
	}
	return r.files, nil
}

// ownDirectory reads the directory of a site that somebody works on.
func ownDirectory(dir string, tests bool) ([]source, error) {
	files, err := readDirectory(dir, tests)
	if errors.Is(err, syscall.ENOTDIR) {
		err = errors.New("is a file; name the directory that it was built from, and build it again after a change")
	}
	if err != nil {
		return nil, placed(dir, err)
	}
	return files, nil
}

type directoryReader struct {
	tree  *private.Tree
	files []source
	tests bool
	count int
	bytes int64
}

// visit reads one file, or passes it over when it is no part of policy (prose
// and hidden files).
func (r *directoryReader) visit(name string, d fs.DirEntry, err error) error {
	if err != nil {
		return err
	}
	if r.count++; r.count > maxSiteFiles {
		return fmt.Errorf("holds more than %d files; name the policy's own directory", maxSiteFiles)
	}
	if name == "." {
		return nil
	}
	hidden := strings.HasPrefix(path.Base(name), ".")
	switch {
	case hidden && d.IsDir():
		return fs.SkipDir
	case d.Type()&fs.ModeSymlink != 0 && !hidden:
		return invalidFile(name, errors.New("is a link; put the file itself there"))
	case d.IsDir():
		if err := r.tree.Dir(name); err != nil {
			return invalidFile(name, err)
		}
		return nil
	}
	k, err := classify(name)
	if err != nil {
		return invalidFile(name, err)
	}
	if k == prose || k == testFile && !r.tests {
		return nil
	}
	text, err := r.tree.Read(name, k.limit())
	if err != nil {
		return invalidFile(name, err)
	}
	if r.bytes += int64(len(text)); r.bytes > maxContentBytes {
		return fmt.Errorf("its files are larger than %d bytes together", maxContentBytes)
	}
	r.files = append(r.files, source{name, text})
	return nil
}
