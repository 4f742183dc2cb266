package policy

import (
	"errors"
	"fmt"

	"github.com/spawnward/spawnward/policy/internal/sources"
)

// release is what a verified bundle says of itself.
type release struct {
	key, name string
	mark      Mark
	first     bool // nothing was known of the key and name
	newer     bool // than the mark that is kept
}

// release compares a bundle with the newest one that was accepted from its key.
func (s *site) release(by *Key, marks Marks) (*release, error) {
	r := &release{key: by.id, name: s.manifest.name, mark: Mark{s.manifest.sequence, s.content()}}
	if r.name == "" {
		r.name = "site"
	}
	if r.mark.Sequence == 0 {
		return nil, invalidFile(".manifest", errors.New("a signed bundle needs metadata.sequence, or an older one could take its place; "+
			"'policy build --sequence N' sets it"))
	}
	if marks == nil {
		return r, nil
	}
	newest, found, err := marks.Newest(r.key, r.name)
	switch {
	case err != nil:
		return nil, fmt.Errorf("find the newest sequence number: %w", err)
	case !found:
		r.first, r.newer = true, true
	case r.mark.Sequence < newest.Sequence:
		return nil, invalidFile(".manifest", fmt.Errorf("metadata.sequence: %d is older than %d, which was accepted before; install that bundle or a newer one",
			r.mark.Sequence, newest.Sequence))
	case r.mark.Sequence == newest.Sequence && r.mark.Content != newest.Content:
		return nil, invalidFile(".manifest", fmt.Errorf("metadata.sequence: %d was accepted before with other content; give every release a number of its own",
			r.mark.Sequence))
	default:
		r.newer = r.mark.Sequence > newest.Sequence
	}
	return r, nil
}

// content is the digest of all files of the site that decide.
func (s *site) content() string {
	files := make([]sources.File, len(s.files))
	for i, f := range s.files {
		files[i] = sources.File{Name: f.name, Text: f.text}
	}
	return sources.Digest(files)
}
