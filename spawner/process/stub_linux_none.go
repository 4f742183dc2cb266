//go:build linux && !amd64 && !arm64

package process

const stubMachine = 0

// stubText is nil: nobody has written the program for this processor.
func stubText() []byte { return nil }
