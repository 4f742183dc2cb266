package spawner

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"runtime"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/endpoint"
	"github.com/spawnward/spawnward/spawner/fswalk"
	"github.com/spawnward/spawnward/spawner/measure"
)

// host describes the machine; what cannot be had is empty.
func host() admission.Host {
	h := admission.Host{OS: runtime.GOOS, Arch: runtime.GOARCH, Kernel: kernelRelease()}
	h.Hostname, _ = os.Hostname()
	h.MachineID, _ = endpoint.MachineID()
	h.BootID, _ = endpoint.BootID()
	h.Hostname, h.MachineID = valid(h.Hostname), valid(h.MachineID)
	return h
}

// caller describes who launches. The parent is advisory: it is a number and a
// link that were true for a moment.
func (l *Local) caller(ids *fswalk.Identities, wantParent bool) admission.Caller {
	c := admission.Caller{UID: int64(l.uid), GID: int64(os.Getegid()), Groups: []int64{}}
	if groups, err := os.Getgroups(); err == nil {
		for _, g := range groups {
			c.Groups = append(c.Groups, int64(g))
		}
	}
	if u, ok := ids.Self(); ok {
		c.User = valid(u.Name)
	}
	c.Parent.PID = int64(os.Getppid())
	link := fmt.Sprintf("/proc/%d/exe", c.Parent.PID)
	if exe, err := os.Readlink(link); err == nil {
		c.Parent.Exe = valid(exe)
	}
	if wantParent {
		c.Parent.SHA256 = digestOf(link)
	}
	return c
}

func digestOf(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return ""
	}
	sum, err := measure.SHA256(context.Background(), f, st.Size())
	if err != nil {
		return ""
	}
	return hex.EncodeToString(sum[:])
}
