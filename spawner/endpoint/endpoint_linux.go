package endpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// maxPath is sizeof(sockaddr_un.sun_path); the path must be shorter.
const maxPath = 108

func pathOf(dir, leaf string) string { return filepath.Join(dir, leaf+".sock") }

// MachineID is the id that systemd or dbus gave this installation.
func MachineID() (string, error) { return machineIDIn("/etc/machine-id", "/var/lib/dbus/machine-id") }

// BootID names this boot of the kernel.
func BootID() (string, error) {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the boot id: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

// Dir says where endpoints stand: the existing parent, and the names of the
// private directories below it. runtimeDir is $XDG_RUNTIME_DIR; when it is empty
// or no absolute path a directory of the user under /tmp is used.
func Dir(runtimeDir string, uid int) (parent string, names []string) {
	if filepath.IsAbs(runtimeDir) && filepath.Clean(runtimeDir) != "/" {
		clean := filepath.Clean(runtimeDir)
		return filepath.Dir(clean), []string{filepath.Base(clean), "running-process", "broker"}
	}
	return "/tmp", []string{fmt.Sprintf("running-process-%d", uid), "broker"}
}
