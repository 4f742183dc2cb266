package service

import (
	"os/user"
	"path/filepath"
	"runtime"
)

// SystemDir is where a security team keeps definitions that users cannot
// override (Linux and macOS).
const SystemDir = "/etc/spawnward/services"

// EnvServicesDir is the variable that names the user's services directory.
const EnvServicesDir = "RUNNING_PROCESS_SERVICE_DEF_DIR"

// Dirs are the directories in which definitions are looked for. An empty path
// is left out.
type Dirs struct {
	// System is looked in first, and a definition in it always wins. It and every
	// directory above it must belong to root and be writable by nobody else. A
	// directory that does not exist is passed over; one that is unsafe or cannot
	// be looked into refuses every load, because it may hold the definition.
	System string
	// User must belong to the effective user or root and have no permission for
	// anyone else (0700).
	User string
	// SystemUID is a user that is trusted with System beside root; 0, root, is
	// right for everything but tests.
	SystemUID int
}

// DefaultDirs gives the directories of the v1 contract: flag if it is not empty
// (made absolute), else $RUNNING_PROCESS_SERVICE_DEF_DIR, else
// $XDG_CONFIG_HOME/running-process/services or what the system uses instead.
// Without $HOME the passwd entry is asked. env looks a variable up; "" is unset.
func DefaultDirs(env func(string) string, flag string) Dirs {
	var d Dirs
	if runtime.GOOS != "windows" {
		d.System = SystemDir
	}
	if flag == "" {
		d.User = userDir(runtime.GOOS, env, home)
		return d
	}
	d.User = flag
	if abs, err := filepath.Abs(flag); err == nil {
		d.User = abs
	}
	return d
}

func userDir(goos string, env func(string) string, home func(env func(string) string) string) string {
	if dir := env(EnvServicesDir); dir != "" {
		return dir
	}
	base := ""
	switch goos {
	case "windows":
		base = env("APPDATA")
	case "darwin":
		if h := home(env); h != "" {
			base = filepath.Join(h, "Library", "Application Support")
		}
	default:
		// The XDG specification has relative paths ignored.
		if base = env("XDG_CONFIG_HOME"); !filepath.IsAbs(base) {
			base = ""
			if h := home(env); h != "" {
				base = filepath.Join(h, ".config")
			}
		}
	}
	if base == "" {
		return ""
	}
	return filepath.Join(base, "running-process", "services")
}

func home(env func(string) string) string {
	if h := env("HOME"); filepath.IsAbs(h) {
		return h
	}
	if u, err := user.Current(); err == nil && filepath.IsAbs(u.HomeDir) {
		return u.HomeDir
	}
	return ""
}

// place is one of the directories with the rules that hold for it.
type place struct {
	path   string
	system bool
	uid    int // trusted beside root
}

func (d Dirs) places(euid int) []place {
	var list []place
	if d.System != "" {
		list = append(list, place{path: d.System, system: true, uid: d.SystemUID})
	}
	if d.User != "" {
		list = append(list, place{path: d.User, uid: euid})
	}
	return list
}
