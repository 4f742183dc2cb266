package policy

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/spawnward/spawnward/spawner/private"
)

// Limits of a bundle beside those of a site. Nothing is kept in memory before
// it has been counted.
const (
	maxBundleBytes  = 64 << 20 // as it is stored, compressed
	maxContentBytes = 96 << 20 // of all files
	maxNameBytes    = 256
)

// signaturesName is the file of a bundle that holds its signature.
const signaturesName = ".signatures.json"

// readBundle reads a bundle file that nobody but root and the effective user
// could have written.
func readBundle(name string) ([]source, *pages, error) {
	absolute, err := filepath.Abs(name)
	if err != nil {
		return nil, nil, invalidFile(name, err)
	}
	f, size, err := private.OpenTrusted(os.Geteuid(), absolute, maxIndexedBytes)
	if err != nil {
		return nil, nil, invalidFile(name, err)
	}
	text, p, err := readIndexed(f, size, name)
	if p == nil {
		defer f.Close()
	}
	if err != nil {
		return nil, nil, placed(name, err)
	}
	files, err := unpack(text)
	if err != nil {
		return nil, nil, placed(name, err)
	}
	return files, p, nil
}

// unpack gives every file of a bundle: a gzip-compressed tar archive as OPA
// writes it, with names relative to its top.
func unpack(text []byte) ([]source, error) {
	zr, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("is neither a directory nor a bundle (.tar.gz): %w", err)
	}
	content := &counted{r: zr, left: maxContentBytes}
	u := &unpacker{tr: tar.NewReader(content), seen: map[string]bool{}}
	for {
		h, err := u.tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = u.entry(h)
		}
		if err != nil {
			return nil, err
		}
	}
	// What follows the archive is read for the checksum of the whole.
	if _, err := io.Copy(io.Discard, content); err != nil {
		return nil, err
	}
	return u.files, nil
}

type unpacker struct {
	tr    *tar.Reader
	files []source
	seen  map[string]bool
	count int
	bytes int64
}

func (u *unpacker) entry(h *tar.Header) error {
	if u.count++; u.count > maxSiteFiles {
		return fmt.Errorf("holds more than %d files", maxSiteFiles)
	}
	if h.Typeflag == tar.TypeDir {
		return nil
	}
	name, err := entryName(h.Name)
	if err != nil {
		return err
	}
	if h.Typeflag != tar.TypeReg {
		return invalidFile(name, errors.New("is no regular file; a bundle holds nothing else"))
	}
	if u.seen[name] {
		return invalidFile(name, errors.New("is there twice; a bundle holds each file once"))
	}
	u.seen[name] = true
	k, err := classify(name)
	if err != nil {
		return invalidFile(name, err)
	}
	if h.Size > k.limit() {
		return invalidFile(name, fmt.Errorf("is larger than %d bytes", k.limit()))
	}
	// Holes take no place in the stream, so that content is counted here too.
	if u.bytes += h.Size; u.bytes > maxContentBytes {
		return fmt.Errorf("its files are larger than %d bytes together", maxContentBytes)
	}
	content, err := io.ReadAll(u.tr)
	if err != nil {
		return invalidFile(name, err)
	}
	u.files = append(u.files, source{name, content})
	return nil
}

// entryName gives the name below the bundle's top. OPA begins names with a
// slash, tar with a dot.
func entryName(raw string) (string, error) {
	name := strings.TrimPrefix(strings.TrimPrefix(raw, "."), "/")
	if strings.HasPrefix(raw, ".") && !strings.HasPrefix(raw, "./") {
		name = raw // a hidden file
	}
	printable := utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' })
	if len(name) > maxNameBytes || !printable || name != path.Clean(name) || strings.HasPrefix(name, "/") ||
		name == "." || name == ".." || strings.HasPrefix(name, "../") {
		return "", fmt.Errorf("the name %.64q cannot stand in a bundle; use plain relative names", raw)
	}
	return name, nil
}

// counted ends a stream that is longer than it may be with an error.
type counted struct {
	r    io.Reader
	left int64
}

func (c *counted) Read(p []byte) (int, error) {
	if c.left < 0 {
		return 0, fmt.Errorf("its files are larger than %d bytes together; keep data that does not decide elsewhere", maxContentBytes)
	}
	if int64(len(p)) > c.left+1 {
		p = p[:c.left+1]
	}
	n, err := c.r.Read(p)
	c.left -= int64(n)
	return n, err
}
