package spawner

import (
	"errors"
	"io/fs"
	"slices"
)

// Recorded names the versions of a service that have a record, sorted, without
// looking at any process: a quick answer for people who type, and no proof of
// anything. See [Local.List] for what is verified.
func (l *Local) Recorded(service string) ([]string, error) {
	store, err := l.existingState()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer store.Close()
	records, _ := store.List(service, "")
	var out []string
	for _, r := range records {
		out = append(out, r.Version)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
