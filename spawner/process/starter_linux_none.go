//go:build linux && !amd64 && !arm64

package process

const starterMachine = 0

// starterText is nil: nobody has written the program for this processor.
func starterText() []byte { return nil }
