// Package state remembers the backends that were launched: one small file a
// backend, in a private directory of the user, written all at once, and durably
// once the backend is ready.
//
// A record is a claim to be verified, never a proof: whoever reads one opens
// the process by pidfd, compares start time and executable, and probes it. A
// file that is not a valid record is an error that names it; it is neither
// removed nor guessed at. Directories behave as package private says.
package state

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/endpoint"
	"github.com/spawnward/spawnward/spawner/fswalk"
	"github.com/spawnward/spawnward/spawner/private"
)

// maxRecord is the largest record that is read, in bytes.
const maxRecord = 64 << 10

// Identity is what is known of a running backend (wire contract v1, DaemonProcess).
type Identity struct {
	PID             int               `json:"pid"`
	ExePath         string            `json:"exe_path"`
	ExeSHA256       string            `json:"exe_sha256"` // 64 lower-case hexadecimal digits
	BootID          string            `json:"boot_id"`
	Endpoint        endpoint.Endpoint `json:"ipc_endpoint"`
	StartedAtUnixMS int64             `json:"started_at_unix_ms"`
	IdleTimeoutSecs *int64            `json:"idle_timeout_secs"` // null is none
}

// Digest is ExeSHA256 as bytes.
func (i Identity) Digest() (sum [32]byte, err error) {
	raw, err := hex.DecodeString(i.ExeSHA256)
	if err == nil && len(raw) != len(sum) {
		err = fmt.Errorf("a digest of %d bytes", len(raw))
	}
	copy(sum[:], raw)
	return sum, err
}

// Phase says how far a launch got.
type Phase string

// The phases of a record.
const (
	Intent   Phase = "intent"   // before the child exists
	Starting Phase = "starting" // the child exists, its endpoint is not proven
	Ready    Phase = "ready"    // a verified handle was given
)

// Record is one launched backend. The JSON form is fixed by
// rego/schema/record.json.
type Record struct {
	Schema            int               `json:"schema"` // always 1
	ID                string            `json:"id"`     // 32 hexadecimal digits, as in the endpoint's name
	Phase             Phase             `json:"phase"`
	Service           string            `json:"service"`
	Version           string            `json:"version"`
	Instance          string            `json:"instance"`
	DefinitionSHA256  string            `json:"definition_sha256"`
	ObligationsSHA256 string            `json:"obligations_sha256"`
	Binary            Binary            `json:"binary"`
	Script            *Script           `json:"script"` // nil for a program
	Endpoint          endpoint.Endpoint `json:"ipc_endpoint"`
	Launcher          Launcher          `json:"launcher"`
	MachineID         string            `json:"machine_id"` // "" when the machine has none
	BootID            string            `json:"boot_id"`
	PIDNamespace      uint64            `json:"pid_namespace"` // inode of the launcher's pid namespace
	Binding           admission.Binding `json:"binding"`
	Probe             string            `json:"probe"`
	SettleMS          int64             `json:"settle_ms"`
	RunDir            string            `json:"run_dir"`
	DecisionID        string            `json:"decision_id"`
	// StartTicks and Identity are set from Starting on.
	StartTicks uint64    `json:"start_ticks"` // field 22 of /proc/pid/stat
	Identity   *Identity `json:"identity"`
}

// Binary is the measured file.
type Binary struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
	Device int64  `json:"device"`
	Inode  int64  `json:"inode"`
}

// Script is a measured script, where the binary is what interprets it.
type Script struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
}

// Launcher is the process that wrote the record.
type Launcher struct {
	PID        int    `json:"pid"`
	StartTicks uint64 `json:"start_ticks"`
}

func (r *Record) fileName() string { return r.Service + "@" + r.Version + "@" + r.ID + ".json" }

// Store is the state directory of one user on one machine.
type Store struct {
	dir      *private.Dir
	backends *private.Dir
	run      *private.Dir
	ids      *fswalk.Identities
	booted   func() time.Time
}

// Open opens or makes the state directory parent/names[0]/…, of which the names
// are the user's own: "spawnward" and the user hash below $XDG_STATE_HOME.
func Open(ids *fswalk.Identities, parent string, names ...string) (*Store, error) {
	dir, err := private.Open(ids, parent, names...)
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir, ids: ids, booted: bootTime}
	if s.backends, err = dir.Sub("backends", ids); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	if s.run, err = dir.Sub("run", ids); err != nil {
		return nil, errors.Join(err, s.backends.Close(), dir.Close())
	}
	return s, nil
}

// OpenExisting is Open for those who only look: it makes nothing, and without a
// state directory its error is fs.ErrNotExist.
func OpenExisting(ids *fswalk.Identities, parent string, names ...string) (*Store, error) {
	at := filepath.Join(append([]string{parent}, names...)...)
	for _, dir := range []string{"backends", "run"} {
		if _, err := os.Lstat(filepath.Join(at, dir)); err != nil {
			return nil, code.New("open the state directory", code.StateFailed, err)
		}
	}
	return Open(ids, parent, names...)
}

// Sweep removes temporary files that writers left which were killed, and what is
// left of a service and version's records that were lost with the machine's
// power; an empty name means any. It costs a look at each of their records, and
// none at the others'.
func (s *Store) Sweep(service, version string) error {
	names, err := s.names(service, version)
	if err != nil {
		return err
	}
	errs := []error{s.backends.Sweep()}
	for _, name := range names {
		if _, err := s.read(name); errors.Is(err, errLost) {
			errs = append(errs, s.backends.Drop(name))
		}
	}
	return errors.Join(errs...)
}

// beforeBoot reports whether a file was last changed before this boot.
func (s *Store) beforeBoot(name string) bool {
	st, err := os.Lstat(filepath.Join(s.backends.Path(), name))
	if err != nil {
		return false
	}
	return st.ModTime().Before(s.booted())
}

// errLost is the content of a file whose name reached the disk before the power
// was gone and whose content did not.
var errLost = errors.New("it is empty")

// Private opens or makes another private directory of this user and machine,
// for the caller to close.
func (s *Store) Private(name string) (*private.Dir, error) { return s.dir.Sub(name, s.ids) }

// Close releases the directories.
func (s *Store) Close() error {
	return errors.Join(s.run.Close(), s.backends.Close(), s.dir.Close())
}

// Path is the directory of this user and machine.
func (s *Store) Path() string { return s.dir.Path() }

// RunPath is where the run directory of the backend with that id stands.
func (s *Store) RunPath(id string) string { return filepath.Join(s.run.Path(), id) }

// MakeRun makes the private run directory of a backend and writes its files.
func (s *Store) MakeRun(id string, files map[string]string) error {
	dir, err := s.run.Sub(id, s.ids)
	if err != nil {
		return err
	}
	for name, content := range files {
		if err := dir.Write(name, []byte(content)); err != nil {
			return errors.Join(err, dir.Close())
		}
	}
	return dir.Close()
}

// RemoveRun removes a backend's run directory with all that is in it.
func (s *Store) RemoveRun(id string) error { return s.run.RemoveTree(id) }

// MakeLink makes the private directory in which the link to the executed
// descriptor stands for a moment, and returns its path.
func (s *Store) MakeLink(id string) (string, error) {
	dir, err := s.run.Sub(id+linkSuffix, s.ids)
	if err != nil {
		return "", err
	}
	return dir.Path(), dir.Close()
}

// RemoveLink removes what MakeLink made.
func (s *Store) RemoveLink(id string) error {
	if s.run.RemoveEmpty(id+linkSuffix) == nil {
		return nil
	}
	return s.run.RemoveTree(id + linkSuffix)
}

const linkSuffix = ".exec"

// Remove deletes a record; one that is not there is no error.
func (s *Store) Remove(r *Record) error { return s.backends.Remove(r.fileName()) }

// List reads the records of a service and version; an empty name means any.
// Files that are not valid records are reported in the second result, which has
// an error with the code record_corrupt for each.
func (s *Store) List(service, version string) ([]*Record, []error) {
	names, err := s.names(service, version)
	if err != nil {
		return nil, []error{err}
	}
	var records []*Record
	var bad []error
	for _, name := range names {
		r, err := s.read(name)
		switch {
		case errors.Is(err, fs.ErrNotExist): // removed since it was listed
		case errors.Is(err, errLost): // with the power; Sweep removes it
		case err != nil:
			bad = append(bad, code.New("read record "+filepath.Join(s.backends.Path(), name), code.RecordCorrupt, err))
		default:
			records = append(records, r)
		}
	}
	return records, bad
}

// names lists the files of records by what their names say.
func (s *Store) names(service, version string) ([]string, error) {
	names, err := s.backends.Names()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(names, func(name string) bool {
		of, rest, _ := strings.Cut(strings.TrimSuffix(name, ".json"), "@")
		at, _, _ := strings.Cut(rest, "@")
		return private.IsTemp(name) || service != "" && of != service || version != "" && at != version
	}), nil
}

func (s *Store) read(name string) (*Record, error) {
	data, err := s.backends.Read(name, maxRecord)
	if err != nil {
		return nil, err
	}
	if len(bytes.Trim(data, "\x00")) == 0 && s.beforeBoot(name) {
		return nil, errLost
	}
	r, err := Decode(latest(data))
	if err != nil {
		return nil, err
	}
	if r.fileName() != name {
		return nil, fmt.Errorf("its content says %s", r.fileName())
	}
	return r, nil
}

// Decode reads one record strictly: what [Store.Put] would write, white space
// aside, and with the fields that make it usable. Every field is there once.
func Decode(data []byte) (*Record, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	r := &Record{}
	if err := d.Decode(r); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more after the record")
	}
	var given bytes.Buffer
	if err := json.Compact(&given, data); err != nil {
		return nil, err
	}
	same, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(given.Bytes(), same) {
		return nil, errors.New("a field is missing, stands twice, or is not written as a launch writes it")
	}
	if err := r.usable(); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Record) usable() error {
	switch {
	case r.Schema != 1:
		return fmt.Errorf("schema %d is not known", r.Schema)
	case r.Phase != Intent && r.Phase != Starting && r.Phase != Ready:
		return fmt.Errorf("phase %q is not known", r.Phase)
	case len(r.ID) != 32 || strings.Trim(r.ID, "0123456789abcdef") != "":
		return fmt.Errorf("id %q is not 32 hexadecimal digits", r.ID)
	case r.Phase != Intent && (r.Identity == nil || r.Identity.PID <= 0 || r.StartTicks == 0):
		return errors.New("it names no process")
	case !filepath.IsAbs(r.Endpoint.Path) || r.Endpoint.ID() != r.ID:
		return fmt.Errorf("endpoint %q is not one of this backend", r.Endpoint.Path)
	}
	if r.Identity != nil {
		if _, err := r.Identity.Digest(); err != nil {
			return fmt.Errorf("digest: %w", err)
		}
	}
	return nil
}
