//go:build !linux

package spawner

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/spawnward/spawnward/spawner/state"
)

// runtimeVariable names the directory of a user's sockets.
const runtimeVariable = "TMPDIR"

func unsupported(what string) error {
	return fmt.Errorf("%s on %s: %w", what, runtime.GOOS, errors.ErrUnsupported)
}

func kernelRelease() string { return "" }

func pidNamespace() (uint64, error) { return 0, unsupported("pid namespaces") }

func newTail() (*os.File, error) { return nil, unsupported("stderr: tail") }

func readTail(*os.File) []byte { return nil }

func openAppend(string) (*os.File, error) { return nil, unsupported("stderr to a file") }

func sameInode(os.FileInfo, state.Binary) error { return unsupported("comparing files") }

func imageID(*os.File) (device, inode int64, err error) {
	return 0, 0, unsupported("comparing files")
}
