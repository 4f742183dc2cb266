package spawner

import (
	"path/filepath"

	"github.com/spawnward/spawnward/spawner/fswalk"
)

// defaultState is $XDG_STATE_HOME, else ~/.local/state with the home directory
// of $HOME or of the passwd entry (XDG Base Directory Specification: a relative
// path counts as unset).
func defaultState(getenv func(string) (string, bool), ids *fswalk.Identities) string {
	if dir, _ := getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Clean(dir)
	}
	home, _ := getenv("HOME")
	if !filepath.IsAbs(home) {
		home = "/"
		if u, ok := ids.Self(); ok && filepath.IsAbs(u.Home) {
			home = u.Home
		}
	}
	return filepath.Join(home, ".local", "state")
}
