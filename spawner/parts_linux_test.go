//go:build linux && !amd64 && !arm64

package spawner_test

// parts has none: the programs that the attacks are about are machine code.
func parts() map[string]func([]string) int { return nil }
