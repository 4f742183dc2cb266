//go:build linux && !amd64 && !arm64

package process

import (
	"errors"
	"fmt"
)

const canInject = false

func (t tracee) clearDeathSignal() error {
	return unavailable("clear the child's death signal", fmt.Errorf("on this processor: %w", errors.ErrUnsupported))
}
