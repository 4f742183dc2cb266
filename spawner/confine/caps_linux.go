package confine

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/admission"
)

// errBounding explains why a capability could come back.
var errBounding = errors.New("taking it for good needs CAP_SETPCAP, which this launcher does not have; ask for no_new_privs beside it")

// toDrop gives the numbers of the capabilities that the running kernel has and
// the plan takes away.
func (p *Plan) toDrop() ([]int, error) {
	names := admission.CapNames()
	for _, name := range p.DropCaps.Names {
		if !slices.Contains(names, name) {
			return nil, lacking("drop_caps", fmt.Errorf("there is no capability %q", name))
		}
	}
	var drop []int
	for n := range 64 {
		if _, err := bounding(unix.PR_CAPBSET_READ, n); err != nil {
			break // the first number that the kernel does not know
		}
		if p.DropCaps.All || n < len(names) && slices.Contains(p.DropCaps.Names, names[n]) {
			drop = append(drop, n)
		}
	}
	return drop, nil
}

// checkCaps fails when a dropped capability could be gained by executing a
// privileged program.
func (p *Plan) checkCaps() error {
	drop, err := p.toDrop()
	if err != nil || len(drop) == 0 || p.NoNewPrivs || len(p.Landlock) > 0 {
		return err
	}
	if _, data, err := capabilities(); err != nil {
		return lacking("drop_caps", err)
	} else if data[0].Effective&(1<<unix.CAP_SETPCAP) != 0 {
		return nil
	}
	for _, n := range drop {
		if in, err := bounding(unix.PR_CAPBSET_READ, n); err != nil || in {
			return lacking("drop_caps", errBounding)
		}
	}
	return nil
}

// dropCaps takes capabilities from the calling thread: first from the bounding
// set, which needs one of them, then from the others. A thread that can gain no
// privileges need not, and perhaps may not, change its bounding set.
func (p *Plan) dropCaps() error {
	drop, err := p.toDrop()
	if err != nil || len(drop) == 0 {
		return err
	}
	for _, n := range drop {
		_, err := bounding(unix.PR_CAPBSET_DROP, n)
		if err != nil && (!errors.Is(err, unix.EPERM) || !p.NoNewPrivs && len(p.Landlock) == 0) {
			return fmt.Errorf("take %d from the bounding set: %w", n, err)
		}
	}
	header, data, err := capabilities()
	if err != nil {
		return err
	}
	for _, n := range drop {
		word, bit := &data[n/32], uint32(1)<<(n%32)
		word.Effective &^= bit
		word.Permitted &^= bit
		word.Inheritable &^= bit // and the kernel takes it from the ambient set
	}
	return unix.Capset(header, &data[0])
}

func capabilities() (*unix.CapUserHeader, *[2]unix.CapUserData, error) {
	header, data := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &[2]unix.CapUserData{}
	if err := unix.Capget(header, &data[0]); err != nil {
		return nil, nil, fmt.Errorf("read capabilities: %w", err)
	}
	return header, data, nil
}

func bounding(op, n int) (bool, error) {
	r, err := unix.PrctlRetInt(op, uintptr(n), 0, 0, 0)
	return r == 1, err
}
