package endpoint

import (
	"errors"
	"fmt"
	"path/filepath"
)

// maxPath is sizeof(sockaddr_un.sun_path); the path must be shorter.
const maxPath = 104

func pathOf(dir, leaf string) string { return filepath.Join(dir, hash8(leaf)+".sock") }

// MachineID fails: the IOPlatformUUID is not read yet.
func MachineID() (string, error) {
	return "", fmt.Errorf("IOPlatformUUID: %w", errors.ErrUnsupported)
}

// BootID fails.
func BootID() (string, error) { return "", fmt.Errorf("boot id: %w", errors.ErrUnsupported) }

// Dir says where endpoints stand; runtimeDir is $TMPDIR.
func Dir(runtimeDir string, uid int) (parent string, names []string) {
	if !filepath.IsAbs(runtimeDir) {
		runtimeDir = "/tmp"
	}
	return runtimeDir, []string{fmt.Sprintf(".rp-%d", uid)}
}
