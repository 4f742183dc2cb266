//go:build linux && !amd64 && !arm64

package process

const (
	nothingMachine = 0
	nothingText    = ""
)
