// Package endpoint names the sockets of backends: the user hash, the private
// directory, and the allocator that never gives one name twice (wire contract
// v1, naming).
//
// Directories are checked as package private says. Windows pipes and macOS
// sockets have their names computed here, but only Linux can open the
// directory so far.
package endpoint

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"lukechampine.com/blake3"

	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/fault"
)

// Tries is how many random names are tried before allocation gives up.
const Tries = 16

// Endpoint is where a backend listens: the instance namespace that it belongs
// to and the path of its socket.
type Endpoint struct {
	NamespaceID string `json:"namespace_id"`
	Path        string `json:"path"`
}

// ID is the 32 hexadecimal digits that make the endpoint's name unique.
func (e Endpoint) ID() string {
	leaf := strings.TrimSuffix(filepath.Base(e.Path), ".sock")
	return leaf[strings.LastIndexByte(leaf, '-')+1:]
}

// Notify is the path of the socket on which the backend of this endpoint says
// that it is ready, in the same directory and of the same length.
func (e Endpoint) Notify() string {
	dir, leaf := filepath.Split(e.Path)
	return dir + strings.Replace(leaf, "-be-", "-nt-", 1)
}

// hash8 is the first eight bytes of the BLAKE3 of text, in hexadecimal.
func hash8(text string) string {
	sum := blake3.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// UserHash names the user on this machine: 16 lower-case hexadecimal digits
// over "<uid>:<machine id>". Without a machine id, which is common in
// containers, the error has the code no_machine_id and names --user-hash.
func UserHash(uid int) (string, error) {
	id, err := MachineID()
	if err != nil {
		return "", code.New("name the user", code.NoMachineID, fmt.Errorf("%w; pass --user-hash with 16 hexadecimal digits", err))
	}
	return hash8(strconv.Itoa(uid) + ":" + id), nil
}

// ValidUserHash reports whether text has the form of a user hash.
func ValidUserHash(text string) bool {
	if len(text) != 16 {
		return false
	}
	return strings.Trim(text, "0123456789abcdef") == ""
}

// machineIDIn reads the first of the files that has an id.
func machineIDIn(files ...string) (string, error) {
	var errs []error
	for _, f := range files {
		data, err := os.ReadFile(f)
		id := strings.TrimSpace(string(data))
		if err == nil && id != "" && id != "uninitialized" {
			return id, nil
		}
		if err == nil {
			err = fmt.Errorf("%s holds no id", f)
		}
		errs = append(errs, err)
	}
	return "", fmt.Errorf("no machine id: %w", errors.Join(errs...))
}

// Allocator gives the endpoints of one instance namespace. Safe for concurrent
// use; no path is given twice while it is reserved.
type Allocator struct {
	namespace string
	dir       string
	userHash  string
	random    io.Reader

	mu       sync.Mutex
	reserved map[string]bool
}

// NewAllocator allocates for one namespace ("shared", "private:<service>",
// "explicit:<name>") in the directory dir, which only the user can use.
func NewAllocator(dir, userHash, namespace string) *Allocator {
	return &Allocator{namespace: namespace, dir: dir, userHash: userHash, random: rand.Reader, reserved: map[string]bool{}}
}

// Allocate reserves a fresh endpoint. The error's code is endpoint_too_long,
// endpoint_exhausted, or state_failed when the directory cannot be looked into.
func (a *Allocator) Allocate() (Endpoint, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for range Tries {
		raw := make([]byte, 16)
		if _, err := io.ReadFull(a.random, raw); err != nil {
			return Endpoint{}, code.New("allocate an endpoint", code.EndpointExhausted, fmt.Errorf("read random bytes: %w", err))
		}
		if fault.Mutant("one-endpoint-for-all") {
			raw = make([]byte, 16)
		}
		path := pathOf(a.dir, "rpb-v1-"+a.userHash+"-be-"+hex.EncodeToString(raw))
		if len(path) >= maxPath {
			return Endpoint{}, code.New("allocate an endpoint", code.EndpointTooLong,
				fmt.Errorf("%s has %d bytes and must be shorter than %d", path, len(path), maxPath))
		}
		_, err := os.Lstat(path)
		if a.reserved[path] || err == nil {
			continue
		}
		if !errors.Is(err, os.ErrNotExist) {
			return Endpoint{}, code.New("allocate an endpoint", dirCode(err), err)
		}
		a.reserved[path] = true
		return Endpoint{NamespaceID: a.namespace, Path: path}, nil
	}
	return Endpoint{}, code.New("allocate an endpoint", code.EndpointExhausted,
		fmt.Errorf("%d random names in %s were all taken", Tries, a.dir))
}

// dirCode tells a directory that is somebody else's from one that fails.
func dirCode(err error) code.Code {
	if errors.Is(err, os.ErrPermission) {
		return code.DirectoryUnsafe
	}
	return code.StateFailed
}

// Release gives up a reservation whose backend never came to be or is gone.
func (a *Allocator) Release(e Endpoint) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.reserved, e.Path)
}
