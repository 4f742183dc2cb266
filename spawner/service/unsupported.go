package service

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spawnward/spawnward/spawner/code"
)

// Unsupported names what a valid definition asks for and this release cannot
// do: nil, or an error with the code unsupported that wraps
// errors.ErrUnsupported. A launcher must call it and must not go on.
func (d *Definition) Unsupported() error {
	var fields []string
	if len(d.Launch.Hooks) > 0 {
		fields = append(fields, "launch.hooks")
	}
	if len(fields) == 0 {
		return nil
	}
	return code.New("use the definition of "+d.ServiceName, code.Unsupported,
		fmt.Errorf("%s: %w in this release; remove it from the definition", strings.Join(fields, ", "), errors.ErrUnsupported))
}
