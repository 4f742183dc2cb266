//go:build !linux && !darwin

package endpoint

import (
	"errors"
	"fmt"
)

// maxPath is the longest pipe name plus one.
const maxPath = 261

func pathOf(_, leaf string) string { return leaf }

// MachineID fails: this system has no user hash yet.
func MachineID() (string, error) { return "", fmt.Errorf("machine id: %w", errors.ErrUnsupported) }

// BootID fails.
func BootID() (string, error) { return "", fmt.Errorf("boot id: %w", errors.ErrUnsupported) }

// Dir is empty: pipes stand in no directory.
func Dir(string, int) (parent string, names []string) { return "", nil }
